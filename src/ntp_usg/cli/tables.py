"""The status document as people want to see it in a terminal; `ntp_usg status` and the demo show the same."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ntp_usg.core.base.durations import format_duration
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.base.snapshots import FAST_PATH_MODES, STAMPED_BY_CARD, Tally
from ntp_usg.core.base.verdicts import Outcome
from ntp_usg.core.engine.trust import ENOUGH
from ntp_usg.observe.units import format_interval

Document = Mapping[str, Any]
"""A part of what `/api/v1/status` gives."""

_NUMBERS = ("reach", "offset", "jitter", "heard")


def status_table(status: Document) -> RenderableType:
    """The system, its sources with the reasons for or against each, and what clients ask; 80 columns are enough."""
    return Group(
        *_system(status),
        "",
        *(_sources(status["sources"]) if status["sources"] else [Text("No source is configured.", style="red")]),
        "",
        _queries(status["queries"]),
        *([_fast_path(fast_path)] if (fast_path := status["queries"].get("fast_path")) else []),
    )


def _system(status: Document) -> Iterator[Text]:
    """What the server promises, how the clock is doing, and who this is."""
    system, health = status["system"], status["health"]
    promise = "no time is served"
    if system["synchronised"]:
        bound = format_interval(system["root_distance"])
        promise = f"stratum {system['stratum']}, {_leader(system)}, error below {bound}"
    state = Text(system["phase"].upper(), style="bold green" if health["ok"] else "bold red")
    yield state.append(f"  {promise}")
    if system["synchronised"] and not health["ok"]:  # else the sources' own reasons say it
        yield Text(health["text"], style="red")
    offset = format_interval(system["offset"], sign="+")
    yield Text(f"offset {offset}, jitter {format_interval(system['jitter'])}, {_clock(system)}")
    yield Text(
        f"ntp_usg {status['version']}, up {format_duration(status['uptime'])}, on {', '.join(status['listen'])}", "dim"
    )
    if waiting := status.get("needs_restart"):
        yield Text(f"changed in the configuration, needs a restart: {', '.join(waiting)}", style="yellow")


def _leader(system: Document) -> str:
    """What the clock follows, or how long it can do without."""
    if system["selected"]:
        return f"follows {system['selected']}"
    alone = f"on its own for {format_duration(system['holdover_age'] or 0.0)}"
    if system["reserve"]:
        return f"{alone}, {system['reserve']} in reserve"
    return f"{alone}, {format_duration(system['holdover_left'] or 0.0)} left"


def _clock(system: Document) -> str:
    """How the host's clock runs by itself, and whether we set it or only know how wrong it is."""
    frequency, ahead = system["frequency_ppm"], system["host_offset"]
    clock = "host clock -" if frequency is None else f"host clock {frequency:+z.3f} ppm"
    if system["clock"] == "system":
        return f"{clock}, disciplined"
    if ahead is None:
        return clock
    return f"{clock} and {format_interval(abs(ahead))} {'behind' if ahead > 0 else 'ahead'}"


def _sources(sources: Sequence[Document]) -> Iterator[RenderableType]:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for heading in ("source", "ref", *_NUMBERS, "signal"):
        table.add_column(heading, justify="right" if heading in _NUMBERS else "left", no_wrap=heading != "signal")
    for source in sources:
        table.add_row(*map(Text, _figures(source)))
    yield table
    for source in sources:
        used = source["healthy"] and source["trust"] >= ENOUGH
        yield Text(f"{source['name']}: {source['reason']}", style="green" if used else "red")
        if source["doubts"]:
            doubts = "; ".join(trouble["text"] for trouble in source["doubts"])
            yield Text(
                f"{source['name']}: trusted to {source['trust']:.0%}: {doubts}", style="yellow" if used else "red"
            )


def _figures(source: Document) -> tuple[str, ...]:
    age = source["last_heard_age"]
    return (
        Tally[source["tally"].upper()].value,
        source["name"],
        source["reference_id"],
        f"{source['reach']:03o}",
        format_interval(source["offset"], sign="+"),
        format_interval(source["jitter"]),
        "never" if age is None else format_duration(age),
        _signal(source),
    )


def _signal(source: Document) -> str:
    """What the receiver says of itself, or how the pulse comes."""
    if (fix := source["fix"]) is not None:
        used, in_view = ("?" if fix[key] is None else fix[key] for key in ("satellites_used", "satellites_in_view"))
        return f"{FixQuality[fix['quality'].upper()].label}, {used}/{in_view} sats"
    if source["pulse_rate_hz"] is not None:
        return f"{source['pulse_rate_hz']:.2f} Hz"
    return "-"


def _fast_path(fast_path: Document) -> Text:
    """Where requests are answered within the kernel, and why not where they should be."""
    works = all(how in FAST_PATH_MODES for how in fast_path["interfaces"].values())
    places = ", ".join(f"{name}: {how}" for name, how in fast_path["interfaces"].items())
    stamped = f", {fast_path['stamped']} so stamped" if STAMPED_BY_CARD in places else ""
    return Text(f"XDP on {places}; {fast_path['answered']} answered there{stamped}", style="" if works else "red")


def _queries(queries: Document) -> Text:
    by_outcome: Counter[str] = Counter()
    for verdict, count in queries["verdicts"].items():
        by_outcome[verdict.partition("/")[0]] += count
    del by_outcome[Outcome.HANDED_UP]  # between two processes: the control process's own verdict is counted, too
    counted = ", ".join(f"{count} {outcome}" for outcome, count in sorted(by_outcome.items())) or "none yet"
    return Text(f"{queries['per_second']:.1f} requests/s from {queries['clients']} clients; in all: {counted}")
