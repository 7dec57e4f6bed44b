"""`ntp_usg pps test`: whether pulses come, and how evenly."""

import asyncio
import contextlib
import json
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Annotated, NamedTuple

import typer

from ntp_usg.cli.histogram import histogram
from ntp_usg.core.algorithms.pulse_train import FASTEST, NEAR, NEAR_SHARE, describe_interval, describe_rate
from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, seconds
from ntp_usg.core.base.samples import Pulse, PulseEnd
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
    """How evenly pulses came by the host's clock: seconds, and None for what so few pulses do not tell.

    Pulses are counted by the interval that was measured, whether that is the expected one or not.
    """

    pulses: int
    missing: int
    """Times between the first pulse and the last one at which none came."""
    extra: int
    """Edges sooner than half an interval after the pulse before."""
    mean_interval: float | None
    jitter: float | None
    """Standard deviation of the intervals."""
    largest_deviation: float | None
    """Of an interval, from the expected one."""
    regular: bool
    """Whether no interval is far from their mean."""
    right_rate: bool
    """Whether the mean is the expected interval."""

    @property
    def perfect(self) -> bool:
        return self.regular and self.right_rate and not self.missing and not self.extra


def count(edges: Sequence[HostNs]) -> dict[int, HostNs]:
    """The pulses by their number on the even tick that most of them keep; edges that come between are left out."""
    usual = statistics.median(seconds(later - earlier) for earlier, later in pairwise(edges)) if edges[1:] else 1.0
    pulses: dict[int, HostNs] = {}
    number = 0
    for before, edge in pairwise((*edges[:1], *edges)):
        number += round(seconds(edge - before) / usual) if usual else 0
        pulses.setdefault(number, edge)
    return pulses


def measure(edges: Sequence[HostNs], rate_hz: int = 1) -> Regularity:
    """An interval over missing pulses counts once, divided by the pulses that it spans."""
    pulses, expected = count(edges), 1 / rate_hz
    pairs = list(pairwise(pulses.items()))
    intervals = [seconds(later - earlier) / (after - before) for (before, earlier), (after, later) in pairs]
    last = max(pulses, default=0)
    mean = seconds(pulses[last] - edges[0]) / last if intervals else None
    near = min(NEAR, NEAR_SHARE * expected)
    return Regularity(
        pulses=len(edges),
        missing=last + 1 - len(pulses) if pulses else 0,
        extra=len(edges) - len(pulses),
        mean_interval=mean,
        jitter=statistics.stdev(intervals) if len(intervals) > 1 else None,
        largest_deviation=max((interval - expected for interval in intervals), key=abs, default=None),
        regular=mean is not None and all(abs(interval - mean) < near for interval in intervals),
        right_rate=mean is not None and abs(mean - expected) < FASTEST * expected + near / len(intervals),
    )


class Begin(NamedTuple):
    """An edge that begins a pulse, and its kind where the record of both edges shows that it does."""

    edge_at: HostNs
    edge: CaptureMode | None


def begins_with(seen: Sequence[Begin]) -> CaptureMode | None:
    """The edge with which pulses begin, where they all show the same one; the first record may be of any age."""
    kinds = {edge for _, edge in seen[1:]}
    return kinds.pop() if len(kinds) == 1 else None


def deviations(edges: Sequence[HostNs]) -> list[float]:
    """How late each pulse was, in seconds, against an even tick at the pace of this machine's clock; without extras.

    What the intervals do not show: whether it is a few that come late, or all that come as they like.
    """
    pulses = count(edges)
    if len(pulses) < 2:
        return [0.0] * len(pulses)
    times = [seconds(edge - edges[0]) for edge in pulses.values()]
    interval, start = statistics.linear_regression(list(pulses), times)
    return [at - start - interval * number for number, at in zip(pulses, times, strict=True)]


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
    rate: Annotated[
        int, typer.Option(metavar="HZ", min=1, max=100, help="Pulses a second to expect, as `rate_hz`.")
    ] = 1,
    pulses: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", min=1, help="End after N pulses, not at Ctrl-C.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No lines, but one JSON document at the end; intervals in seconds.")
    ] = False,
) -> None:
    """Show each pulse as ppstest does, then how evenly they came by this machine's clock.

    The line is only watched: a daemon that uses it is not disturbed, and the edges that it captures stay as they are.
    With `--line ... --capture kernel` the port is a pulse line as long as the test runs.

    Pulses are counted as missing or extra by the interval that most of them keep. Jitter is the standard deviation of
    the intervals. The picture shows how late each pulse was against an even tick.

    Exit code: 0 pulses came at the expected rate, evenly, and none were missing or extra; 1 they did not, or there were
    fewer than two; 69 the line cannot be used.
    """
    if line is None and capture != "kernel":
        raise typer.BadParameter("is for a modem line: give --line too", param_hint="--capture")
    if capture == "kernel" and line not in {None, "dcd"}:
        raise typer.BadParameter("the kernel stamps only dcd: give --capture poll or wait", param_hint="--line")
    seen: list[Begin] = []
    wiring = PulseWiring(device, line, capture)
    kind = wiring.kind
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_watch(wiring, seen, pulses, rate, quiet=as_json))
    except DeviceError as error:
        typer.echo(f"ntp_usg pps test: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    edges = [edge_at for edge_at, _ in seen]
    found, begins, late = measure(edges, rate), begins_with(seen), deviations(edges)
    if as_json:
        typer.echo(json.dumps(_document(wiring, kind, found, begins, late), indent=2))
    else:
        typer.echo("\n".join((*_summary(found, rate), *_edge(begins), *_picture(late), *_usual(kind))))
    raise typer.Exit(0 if found.perfect else 1)


async def _watch(wiring: PulseWiring, seen: list[Begin], pulses: int | None, rate: int, *, quiet: bool) -> None:
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
                picker = EdgePicker(CaptureMode.BOTH, *edges, period=1 / rate)
                continue
            say(_line(edges))
            if isinstance(pulse := picker.receive(*edges), Pulse):
                edge = CaptureMode.ASSERT if pulse.edge_at == edges.asserted.edge_at else CaptureMode.CLEAR
                seen.append(Begin(pulse.edge_at, edge if pulse.end is PulseEnd.BEGIN else None))


def _line(edges: Edges) -> str:
    asserted, cleared = edges
    return (
        f"source 0 - assert {_stamp(asserted.edge_at)}, sequence: {asserted.sequence}"
        f" - clear  {_stamp(cleared.edge_at)}, sequence: {cleared.sequence}"
    )


def _stamp(edge_at: HostNs) -> str:
    whole, nanoseconds = divmod(edge_at, NS_PER_SECOND)
    return f"{whole}.{nanoseconds:09d}"


def _summary(found: Regularity, rate: int) -> Iterator[str]:
    yield f"{found.pulses} pulses, {found.missing} missing, {found.extra} extra"
    if found.mean_interval is None:
        return
    deviation, expected = format_interval(found.largest_deviation, sign="+"), describe_rate(rate)
    yield f"mean interval {found.mean_interval:.9f} s, at most {deviation} from {1 / rate:g} s"
    if found.jitter is not None:
        yield f"jitter {format_interval(found.jitter)}"
    if not found.regular:
        yield f"irregular: edges come at any time, as noise does, where {expected} must come"
    elif not found.right_rate:
        yield f"wrong rate: {describe_interval(found.mean_interval)}, where {expected} must come"


def _edge(begins: CaptureMode | None) -> Iterator[str]:
    if begins:
        yield f'the pulse begins with its {begins.lower()} edge: capture_mode = "{begins}"'


def _picture(late: Sequence[float]) -> Iterator[str]:
    if len(late) >= FEWEST_PICTURED:
        encoding = (getattr(sys.stdout, "encoding", None) or "ascii").lower()
        yield from histogram(late, unicode=encoding.startswith("utf"))


def _usual(kind: PulseInput) -> Iterator[str]:
    """What no test of the line alone can show."""
    if kind is not PulseInput.SIMULATED:
        yield f"usual for a {kind}: stamps {kind.latency(awake=False)}"


def _document(
    wiring: PulseWiring, kind: PulseInput, found: Regularity, begins: CaptureMode | None, late: Sequence[float]
) -> dict[str, object]:
    usual = kind.latency(awake=False)
    return {
        "device": wiring.device,
        "line": wiring.line,
        "capture": wiring.capture,
        "input": kind,
        "usual_latency": usual.mean,
        "usual_latency_uncertainty": usual.uncertainty,
        **asdict(found),
        "begins_with": begins,
        "deviations": late,
    }
