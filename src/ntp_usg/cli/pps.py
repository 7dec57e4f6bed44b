"""`ntp_usg pps test`: whether pulses come, and how evenly."""

import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Annotated

import typer

from ntp_usg.cli.histogram import histogram
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, seconds
from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.receivers.pulse_latency import PulseInput
from ntp_usg.core.receivers.pulses import CaptureMode, EdgePicker, Edges
from ntp_usg.observe.units import format_interval
from ntp_usg.refclocks.pulse_sources import Capture, PulseWiring
from ntp_usg.sysapi.modem_lines import LineName

SILENCE = 3.0
"""Seconds without any edge after which we say so."""
EX_UNAVAILABLE = 69
FEWEST_PICTURED = 8


@dataclass(frozen=True, slots=True)
class Regularity:
    """How evenly pulses came by the host's clock: seconds, and None for what so few pulses do not tell."""

    pulses: int
    missing: int
    """Seconds between the first pulse and the last one that had none."""
    extra: int
    """Pulses sooner than half a second after the one before: noise, or a rate other than 1 Hz."""
    mean_interval: float | None
    jitter: float | None
    """Standard deviation of the intervals."""
    largest_deviation: float | None
    """Of an interval, from one second."""

    @property
    def perfect(self) -> bool:
        return self.pulses > 0 and not self.missing and not self.extra


def measure(edges: Sequence[HostNs]) -> Regularity:
    """An interval over missing pulses counts once, divided by the seconds that it spans."""
    gaps = [seconds(later - earlier) for earlier, later in pairwise(edges)]
    spans = [max(1, round(gap)) for gap in gaps]
    intervals = [gap / span for gap, span in zip(gaps, spans, strict=True)]
    return Regularity(
        pulses=len(edges),
        missing=sum(spans) - len(spans),
        extra=sum(gap < 0.5 for gap in gaps),
        mean_interval=statistics.fmean(intervals) if intervals else None,
        jitter=statistics.stdev(intervals) if len(intervals) > 1 else None,
        largest_deviation=max((interval - 1 for interval in intervals), key=abs, default=None),
    )


def deviations(edges: Sequence[HostNs]) -> list[float]:
    """How late each pulse was, in seconds, against an even tick at the pace of this machine's clock; without extras.

    What the intervals do not show: whether it is a few that come late, or all that come as they like.
    """
    first: dict[int, HostNs] = {}
    number = 0
    for before, edge in pairwise((*edges[:1], *edges)):
        number += round(seconds(edge - before))
        first.setdefault(number, edge)
    if len(first) < 2:
        return [0.0] * len(first)
    lateness = [seconds(edge - edges[0] - number * NS_PER_SECOND) for number, edge in first.items()]
    rate, start = statistics.linear_regression(list(first), lateness)
    return [late - start - rate * number for number, late in zip(first, lateness, strict=True)]


def pps_test(
    device: Annotated[
        str,
        typer.Argument(
            help="A pulse line; with --line a serial port; or the .sock at which a simulated receiver sends."
        ),
    ],
    *,
    line: Annotated[
        LineName | None, typer.Option(help="The modem line of the serial port that the pulse is on.")
    ] = None,
    capture: Annotated[
        Capture, typer.Option(help="Who stamps the modem line: `kernel` (dcd only), `wait` or `poll`.")
    ] = "kernel",
    pulses: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", min=1, help="End after so many pulses, not at Ctrl-C.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No lines, but one JSON document at the end; intervals in seconds.")
    ] = False,
) -> None:
    """Show each pulse as ppstest does, then how evenly they came by this machine's clock.

    The line is only watched: a daemon that uses it is not disturbed, and the edges that it captures stay as they are.
    With `--line ... --capture kernel` the port is a pulse line as long as the test runs.

    Jitter is the standard deviation of the intervals from one pulse to the next. The picture shows how late each pulse
    was against an even tick.

    Exit code: 0 one pulse every second, 1 none, or some were missing or extra, 69 the line cannot be used.
    """
    if line is None and capture != "kernel":
        raise typer.BadParameter("is for a modem line: give --line too", param_hint="--capture")
    if capture == "kernel" and line not in {None, "dcd"}:
        raise typer.BadParameter("the kernel stamps only dcd: give --capture poll or wait", param_hint="--line")
    seen: list[HostNs] = []
    wiring = PulseWiring(device, line, capture)
    kind = wiring.kind
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_watch(wiring, seen, pulses, quiet=as_json))
    except DeviceError as error:
        typer.echo(f"ntp_usg pps test: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    found = measure(seen)
    if as_json:
        typer.echo(json.dumps(_document(wiring, kind, found, deviations(seen)), indent=2))
    else:
        typer.echo("\n".join((*_summary(found), *_picture(deviations(seen)), *_usual(kind))))
    raise typer.Exit(0 if found.perfect else 1)


async def _watch(wiring: PulseWiring, seen: list[HostNs], pulses: int | None, *, quiet: bool) -> None:
    """Fill `seen` until it holds so many pulses; where a number is asked for, silence ends the wait for it, too."""

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text)

    say(f'trying PPS source "{wiring.device}"')
    with contextlib.closing(await wiring.open(None)) as source:
        say(f'found PPS source "{wiring.device}"\nok, found 1 source(s), now start fetching data...')
        picker: EdgePicker | None = None
        while pulses is None or len(seen) < pulses:
            try:
                async with asyncio.timeout(SILENCE):
                    edges = await (source.fetch() if picker else source.latest())
            except TimeoutError:
                typer.echo(f"no pulse for {SILENCE:g} s: has the receiver a fix? Is its pulse wired here?", err=True)
                if pulses is not None:
                    return
                continue
            if picker is None:
                picker = EdgePicker(CaptureMode.BOTH, *edges)
                continue
            say(_line(edges))
            if isinstance(pulse := picker.receive(*edges), Pulse):
                seen.append(pulse.edge_at)


def _line(edges: Edges) -> str:
    asserted, cleared = edges
    return (
        f"source 0 - assert {_stamp(asserted.edge_at)}, sequence: {asserted.sequence}"
        f" - clear  {_stamp(cleared.edge_at)}, sequence: {cleared.sequence}"
    )


def _stamp(edge_at: HostNs) -> str:
    whole, nanoseconds = divmod(edge_at, NS_PER_SECOND)
    return f"{whole}.{nanoseconds:09d}"


def _summary(found: Regularity) -> Iterator[str]:
    yield f"{found.pulses} pulses, {found.missing} missing, {found.extra} extra"
    if found.mean_interval is not None:
        deviation = format_interval(found.largest_deviation, sign="+")
        yield f"mean interval {found.mean_interval:.9f} s, at most {deviation} from one second"
    if found.jitter is not None:
        yield f"jitter {format_interval(found.jitter)}"


def _picture(late: Sequence[float]) -> Iterator[str]:
    if len(late) >= FEWEST_PICTURED:
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        yield from histogram(late, unicode=encoding.startswith("utf"))


def _usual(kind: PulseInput) -> Iterator[str]:
    """What no test of the line alone can show."""
    if kind is not PulseInput.SIMULATED:
        yield f"usual for a {kind}: stamps {kind.latency(awake=False)}"


def _document(wiring: PulseWiring, kind: PulseInput, found: Regularity, late: Sequence[float]) -> dict[str, object]:
    usual = kind.latency(awake=False)
    return {
        "device": wiring.device,
        "line": wiring.line,
        "capture": wiring.capture,
        "input": kind,
        "usual_latency": usual.mean,
        "usual_latency_uncertainty": usual.uncertainty,
        **asdict(found),
        "deviations": late,
    }
