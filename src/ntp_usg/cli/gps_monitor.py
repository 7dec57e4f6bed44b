"""`ntp_usg gps monitor`: what a receiver says, as people want to see it who have just wired one."""

import asyncio
import contextlib
import re
import statistics
import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ntp_usg.cli.gps_recording import EX_UNAVAILABLE, BaudRate, Device, Duration
from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, seconds
from ntp_usg.core.base.samples import Fix, TimeMessage
from ntp_usg.core.base.verdicts import Reason, Verdict
from ntp_usg.core.receivers.framing import LineFramer
from ntp_usg.core.receivers.nmea import Event, NmeaAssembler
from ntp_usg.core.receivers.nmea_sentences import ChecksumError, parse_sentence
from ntp_usg.core.receivers.sky import Satellite, parse_satellites
from ntp_usg.refclocks.serial_line import SerialLine

REFRESH_INTERVAL = 0.25
LATENCIES = 60
"""The messages whose latency is shown."""
SKY_SECONDS = 5.0
"""A satellite is shown for so long after it was last named."""
MOST_KINDS = 40
_ADDRESS = re.compile(r"\$([A-Z0-9]{3,8}),")


class Portrait:
    """What a line has said so far. Bounded, whatever it says."""

    def __init__(self, device: str, baud_rate: int) -> None:
        self.synchronisable = False
        """Whether a time came with a fix."""
        self._where = f"{device} at {baud_rate} baud"
        self._bytes = 0
        self._sentences: Counter[str] = Counter()
        self._rejected: Counter[Reason] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._last: TimeMessage | None = None
        self._fix: Fix | None = None
        self._sky: dict[tuple[str, int], tuple[Satellite, MonoNs]] = {}
        self._framer = LineFramer()
        self._assembler = NmeaAssembler()

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[TimeMessage]:
        """Look at what came; the times that it completes."""
        self._bytes += len(data)
        for frame in self._framer.feed(data, received_at):
            self._count(frame.data, now)
        return self._learn(self._assembler.feed(data, received_at, now))

    def pause(self, now: MonoNs) -> list[TimeMessage]:
        """Nothing came; the time that a silence completes."""
        deadline = self._assembler.deadline()
        return self._learn(self._assembler.flush()) if deadline is not None and now >= deadline else []

    def picture(self, now: MonoNs) -> RenderableType:
        """All of it, for 80 columns."""
        facts = Table(box=None, pad_edge=False, show_header=False)
        facts.add_column(style="bold", no_wrap=True)
        facts.add_column()
        for name, text in (
            ("line", f"{self._where}, {self._bytes} bytes"),
            ("time", self._time()),
            ("latency", self._latency()),
            ("fix", describe_fix(self._fix)),
            ("sentences", self._counted()),
            *(("rejected", f"{count}: {reason.explanation}") for reason, count in self._rejected.most_common()),
        ):
            facts.add_row(name, Text(text))
        return Group(facts, *self._satellites(now))

    def _count(self, line: bytes, now: MonoNs) -> None:
        with contextlib.suppress(WireError):  # a whole sentence with a mad value: the assembler tells
            try:
                parse_sentence(line)
            except ChecksumError:
                return
        # Only what is fit to be printed, and not without end: the line may be anything.
        address = _ADDRESS.match(line.decode("ascii", "replace"))
        known = address and (address[1] in self._sentences or len(self._sentences) < MOST_KINDS)
        self._sentences[address[1] if address and known else "others"] += 1
        self._sky |= {(each.system, each.number): (each, now) for each in parse_satellites(line)}

    def _learn(self, events: list[Event]) -> list[TimeMessage]:
        for event in events:
            match event:
                case TimeMessage():
                    self._last, self._fix = event, event.fix
                    self._latencies.append(_latency(event))
                    self.synchronisable = self.synchronisable or event.fix.quality.rank > 0
                case Fix():
                    self._fix = event
                case Verdict():
                    self._rejected[event.reason] += 1
        return [event for event in events if isinstance(event, TimeMessage)]

    def _time(self) -> str:
        if self._last:
            return _spell(self._last)
        if self._sentences:
            return "none yet: a time needs its date, from RMC or ZDA"
        return "no NMEA: is this the receiver's baud rate?" if self._bytes else "nothing comes: is the receiver wired?"

    def _latency(self) -> str:
        if not self._latencies:
            return "-"
        low, mean, high = min(self._latencies), statistics.fmean(self._latencies), max(self._latencies)
        return (
            f"{mean:+.3f} s from the second to its message by this machine's clock "
            f"({low:+.3f} to {high:+.3f} s, last {len(self._latencies)})"
        )

    def _counted(self) -> str:
        return ", ".join(f"{kind} {count}" for kind, count in sorted(self._sentences.items())) or "none"

    def _satellites(self, now: MonoNs) -> list[RenderableType]:
        seen = [each for each, named_at in self._sky.values() if seconds(now - named_at) < SKY_SECONDS]
        if not seen:
            return []
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in ("satellite", "elevation", "azimuth", "dB-Hz"):
            table.add_column(heading, justify="left" if heading == "satellite" else "right")
        table.add_column("")
        for each in sorted(seen, key=lambda each: (-(each.signal or 0), each.system, each.number)):
            figures = ("-" if figure is None else str(figure) for figure in (each.elevation, each.azimuth, each.signal))
            table.add_row(f"{each.system} {each.number}", *figures, "#" * ((each.signal or 0) // 2))
        return ["", table]


def describe_fix(fix: Fix | None) -> str:
    """`GPS, 9 of 12 satellites, HDOP 0.67`."""
    if fix is None:
        return "not said"
    used, in_view, hdop = (
        "?" if figure is None else figure for figure in (fix.satellites_used, fix.satellites_in_view, fix.hdop)
    )
    return f"{fix.quality.label}, {used} of {in_view} satellites, HDOP {hdop}"


def monitor(device: Device, *, baud_rate: BaudRate = 9600, duration: Duration = None) -> None:
    """Show a receiver's time, fix, satellites and sentences, until Ctrl-C.

    Where the output is no terminal it is a line for each time, and the whole picture at the end.

    The latency is negative, or beyond a second, where this machine's clock is wrong.

    Exit code: 0 when a time with a fix came, 1 when none did, 69 when the line cannot be used or has gone.
    """
    portrait = Portrait(device, baud_rate)
    console = Console(highlight=False)
    try:
        with (
            SerialLine(device, baud_rate, lambda: HostNs(time.time_ns())) as line,
            contextlib.suppress(KeyboardInterrupt, TimeoutError),
        ):
            asyncio.run(_watch(line, portrait, console, duration))
    except DeviceError as error:
        typer.echo(f"ntp_usg gps monitor: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    if not console.is_terminal:
        console.print(portrait.picture(_now()))
    raise typer.Exit(0 if portrait.synchronisable else 1)


async def _watch(line: SerialLine, portrait: Portrait, console: Console, duration: float | None) -> None:
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    shown_at = 0.0
    with live or contextlib.nullcontext():
        async with asyncio.timeout(duration):
            while True:
                try:
                    async with asyncio.timeout(REFRESH_INTERVAL):
                        data, received_at = await line.read()
                    times = portrait.feed(data, received_at, _now())
                except TimeoutError:
                    times = portrait.pause(_now())
                if live and time.monotonic() - shown_at >= REFRESH_INTERVAL:
                    live.update(portrait.picture(_now()), refresh=True)
                    shown_at = time.monotonic()
                for each in times if live is None else ():
                    console.print(f"{_spell(each)} {_latency(each):+.3f} s {describe_fix(each.fix)}", soft_wrap=True)


def _latency(message: TimeMessage) -> float:
    return seconds(message.received_at - message.second)


def _spell(message: TimeMessage) -> str:
    whole = timedelta(seconds=message.second // NS_PER_SECOND)
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + whole:%Y-%m-%d %H:%M:%S} UTC"


def _now() -> MonoNs:
    return MonoNs(time.monotonic_ns())
