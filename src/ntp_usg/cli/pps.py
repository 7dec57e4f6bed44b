"""`ntp_usg pps test`: whether pulses come, and how evenly."""

import asyncio
import contextlib
import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Annotated

import typer

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, seconds
from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.receivers.pulses import CaptureMode, EdgePicker
from ntp_usg.observe.units import format_interval
from ntp_usg.refclocks.pps import edges, open_pulses
from ntp_usg.sysapi.pps import PpsInfo

SILENCE = 3.0
"""Seconds without any edge after which we say so."""
EX_UNAVAILABLE = 69


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


def pps_test(
    device: Annotated[str, typer.Argument(help="A pulse line, or the .sock at which a simulated receiver sends.")],
    *,
    pulses: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", min=1, help="End after so many pulses, not at Ctrl-C.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="No lines, but one JSON document at the end; intervals in seconds.")
    ] = False,
) -> None:
    """Show each pulse as ppstest does, then how evenly they came by this machine's clock.

    The line is only watched: a daemon that uses it is not disturbed, and the edges that it captures stay as they are.

    Jitter is the standard deviation of the intervals from one pulse to the next.

    Exit code: 0 one pulse every second, 1 none, or some were missing or extra, 69 the line cannot be used.
    """
    seen: list[HostNs] = []
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_watch(device, seen, pulses, quiet=as_json))
    except DeviceError as error:
        typer.echo(f"ntp_usg pps test: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    found = measure(seen)
    typer.echo(json.dumps({"device": device} | asdict(found), indent=2) if as_json else _summary(found))
    raise typer.Exit(0 if found.perfect else 1)


async def _watch(device: str, seen: list[HostNs], pulses: int | None, *, quiet: bool) -> None:
    """Fill `seen` until it holds so many pulses; where a number is asked for, silence ends the wait for it, too."""

    def say(text: str) -> None:
        if not quiet:
            typer.echo(text)

    say(f'trying PPS source "{device}"')
    with contextlib.closing(open_pulses(device, None)) as source:
        say(f'found PPS source "{device}"\nok, found 1 source(s), now start fetching data...')
        picker: EdgePicker | None = None
        while pulses is None or len(seen) < pulses:
            try:
                async with asyncio.timeout(SILENCE):
                    info = await (source.fetch() if picker else source.latest())
            except TimeoutError:
                typer.echo(f"no pulse for {SILENCE:g} s: has the receiver a fix? Is its pulse wired here?", err=True)
                if pulses is not None:
                    return
                continue
            if picker is None:
                picker = EdgePicker(CaptureMode.BOTH, *edges(info))
                continue
            say(_line(info))
            if isinstance(pulse := picker.receive(*edges(info)), Pulse):
                seen.append(pulse.edge_at)


def _line(info: PpsInfo) -> str:
    return (
        f"source 0 - assert {_stamp(info.assert_ns)}, sequence: {info.assert_sequence}"
        f" - clear  {_stamp(info.clear_ns)}, sequence: {info.clear_sequence}"
    )


def _stamp(edge_at: HostNs) -> str:
    whole, nanoseconds = divmod(edge_at, NS_PER_SECOND)
    return f"{whole}.{nanoseconds:09d}"


def _summary(found: Regularity) -> str:
    lines = [f"{found.pulses} pulses, {found.missing} missing, {found.extra} extra"]
    if found.mean_interval is not None:
        deviation = format_interval(found.largest_deviation, sign="+")
        lines.append(f"mean interval {found.mean_interval:.9f} s, at most {deviation} from one second")
    if found.jitter is not None:
        lines.append(f"jitter {format_interval(found.jitter)}")
    return "\n".join(lines)
