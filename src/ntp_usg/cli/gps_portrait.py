"""What a receiver's line and its pulses have said so far, as a picture for people and a document for programs."""

import contextlib
import re
import statistics
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ntp_usg.cli.histogram import histogram
from ntp_usg.cli.pps import deviations, measure
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, seconds
from ntp_usg.core.base.samples import Fix, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Reason, Verdict
from ntp_usg.core.receivers.framing import LineFramer
from ntp_usg.core.receivers.nmea import NmeaAssembler
from ntp_usg.core.receivers.nmea_sentences import ChecksumError, parse_sentence
from ntp_usg.core.receivers.sky import Satellite, parse_nav_sat, parse_satellites
from ntp_usg.core.receivers.ubx_framing import Kind, UbxFrame, UbxFramer
from ntp_usg.observe.status import Json, plain
from ntp_usg.observe.units import format_interval
from ntp_usg.refclocks.receiver import Assembler, Event

LATENCIES = 60
"""The messages whose latency is shown."""
EDGES = 120
"""The pulses whose regularity is."""
FEWEST_PICTURED = 8
SKY_SECONDS = 5.0
"""A satellite is shown for so long after it was last named."""
MOST_KINDS = 40
_ADDRESS = re.compile(r"\$([A-Z0-9]{3,8}),")


class Portrait:
    """What a line has said so far. Bounded, whatever it says."""

    def __init__(self, device: str, baud_rate: int, protocol: str = "NMEA", assembler: Assembler | None = None) -> None:
        self.synchronisable = False
        """Whether a time came with a fix."""
        self._where = f"{device} at {baud_rate} baud"
        self._protocol = protocol
        self._bytes = 0
        self._kinds: Counter[str] = Counter()
        self._rejected: Counter[Reason] = Counter()
        self._latencies: deque[float] = deque(maxlen=LATENCIES)
        self._last: TimeMessage | None = None
        self._fix: Fix | None = None
        self._reception = Reception(())
        self._sky: dict[tuple[str, int], tuple[Satellite, MonoNs]] = {}
        self._edges: deque[HostNs] = deque(maxlen=EDGES)
        self._line_framer = LineFramer()
        self._ubx_framer = UbxFramer()
        self._assembler = assembler or NmeaAssembler()

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[TimeMessage]:
        """Look at what came; the times that it completes."""
        self._bytes += len(data)
        for line in self._line_framer.feed(data, received_at):
            self._read_line(line.data, now)
        for frame in self._ubx_framer.feed(data, received_at):
            if isinstance(frame, UbxFrame):
                self._read_frame(frame, now)
        return self._learn(self._assembler.feed(data, received_at, now))

    def pause(self, now: MonoNs) -> list[TimeMessage]:
        """Nothing came; the time that a silence completes."""
        deadline = self._assembler.deadline()
        return self._learn(self._assembler.flush()) if deadline is not None and now >= deadline else []

    def pulse(self, edge_at: HostNs) -> None:
        """A pulse came."""
        self._edges.append(edge_at)

    def picture(self, now: MonoNs, *, unicode: bool = True) -> RenderableType:
        """All of it, for 80 columns."""
        facts = Table(box=None, pad_edge=False, show_header=False)
        facts.add_column(style="bold", no_wrap=True)
        facts.add_column()
        for name, text in (
            ("line", f"{self._where}, {self._bytes} bytes"),
            ("time", self._time()),
            ("latency", self._latency()),
            ("fix", describe_fix(self._fix)),
            *(("position", text) for text in describe_position(self._fix)),
            *(("trouble", each.text) for each in self._reception.troubles),
            ("sentences", ", ".join(f"{kind} {count}" for kind, count in sorted(self._kinds.items())) or "none"),
            *(("rejected", f"{count}: {reason.explanation}") for reason, count in self._rejected.most_common()),
            *(("pulses", text) for text in self._pulses()),
        ):
            facts.add_row(name, Text(text))
        return Group(facts, *self._scatter(unicode=unicode), *_sky_table(self._satellites(now)))

    def document(self, now: MonoNs) -> dict[str, Json]:
        """The same for programs; intervals in seconds, what is not known null."""
        last = self._last
        edges = list(self._edges)
        return {
            "time": f"{_date(last):%Y-%m-%dT%H:%M:%SZ}" if last else None,
            "latency": self._latencies[-1] if self._latencies else None,
            "fix": plain(self._fix) if self._fix else None,
            "troubles": plain(self._reception.troubles),
            "satellites": [plain(each) for each in self._satellites(now)],
            "bytes": self._bytes,
            "sentences": plain(self._kinds),
            "rejected": {reason.value: count for reason, count in self._rejected.items()},
            "pulses": plain(asdict(measure(edges))) if edges else None,
        }

    def _read_line(self, line: bytes, now: MonoNs) -> None:
        with contextlib.suppress(WireError):  # a whole sentence with a mad value: the assembler tells
            try:
                parse_sentence(line)
            except ChecksumError:
                return
        # Only what is fit to be printed, and not without end: the line may be anything.
        address = _ADDRESS.match(line.decode("ascii", "replace"))
        self._count(address[1] if address else "others")
        self._see(parse_satellites(line), now)

    def _read_frame(self, frame: UbxFrame, now: MonoNs) -> None:
        self._count(frame.kind.label)
        if frame.kind is Kind.NAV_SAT:
            self._see(parse_nav_sat(frame.payload), now)

    def _count(self, kind: str) -> None:
        self._kinds[kind if kind in self._kinds or len(self._kinds) < MOST_KINDS else "others"] += 1

    def _see(self, satellites: Sequence[Satellite], now: MonoNs) -> None:
        self._sky |= {(each.system, each.number): (each, now) for each in satellites}

    def _learn(self, events: Sequence[Event]) -> list[TimeMessage]:
        for event in events:
            match event:
                case TimeMessage():
                    self._last, self._fix = event, event.fix
                    self._latencies.append(latency(event))
                    self.synchronisable = self.synchronisable or event.fix.quality.rank > 0
                case Fix():
                    self._fix = event
                case Reception():
                    self._reception = event
                case Verdict():
                    self._rejected[event.reason] += 1
        return [event for event in events if isinstance(event, TimeMessage)]

    def _time(self) -> str:
        if self._last:
            return spell(self._last)
        if self._kinds:
            return "none yet: a time needs its date, from RMC or ZDA" if self._protocol == "NMEA" else "none yet"
        if self._bytes:
            return f"no {self._protocol}: is this the receiver's baud rate?"
        return "nothing comes: is the receiver wired?"

    def _latency(self) -> str:
        if not self._latencies:
            return "-"
        low, mean, high = min(self._latencies), statistics.fmean(self._latencies), max(self._latencies)
        return (
            f"{mean:+.3f} s from the second to its message by this machine's clock "
            f"({low:+.3f} to {high:+.3f} s, last {len(self._latencies)})"
        )

    def _pulses(self) -> Iterator[str]:
        if self._edges:
            found = measure(list(self._edges))
            jitter = f", jitter {format_interval(found.jitter)}" if found.jitter is not None else ""
            yield f"last {found.pulses}: {found.missing} missing, {found.extra} extra{jitter}"

    def _scatter(self, *, unicode: bool) -> Iterator[RenderableType]:
        if len(self._edges) >= FEWEST_PICTURED:
            yield from map(Text, histogram(deviations(list(self._edges)), unicode=unicode))

    def _satellites(self, now: MonoNs) -> list[Satellite]:
        """Those that were named of late, the best signal first."""
        seen = [each for each, named_at in self._sky.values() if seconds(now - named_at) < SKY_SECONDS]
        return sorted(seen, key=lambda each: (-(each.signal or 0), each.system, each.number))


def _sky_table(satellites: Sequence[Satellite]) -> list[RenderableType]:
    if not satellites:
        return []
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("satellite", "elevation", "azimuth", "dB-Hz"):
        table.add_column(heading, justify="left" if heading == "satellite" else "right")
    table.add_column("")
    for each in satellites:
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


def describe_position(fix: Fix | None) -> list[str]:
    """`51.47790 N, 0.00147 W, 47 m, 3D, PDOP 0.67`, as far as it is known; nothing where nothing is."""
    if fix is None:
        return []
    facts = []
    if (place := fix.position) is not None:
        facts.append(f"{abs(place.latitude_deg):.5f} {'S' if place.latitude_deg < 0 else 'N'}")
        facts.append(f"{abs(place.longitude_deg):.5f} {'W' if place.longitude_deg < 0 else 'E'}")
        facts.append(f"{place.height_m:.0f} m")
    if fix.dimensions is not None:
        facts.append("time only" if fix.dimensions == 1 else f"{fix.dimensions}D")
    facts += [f"{name} {value:.2f}" for name, value in (("PDOP", fix.pdop), ("TDOP", fix.tdop)) if value is not None]
    return [", ".join(facts)] if facts else []


def latency(message: TimeMessage) -> float:
    """From the second to its message by this machine's clock, in seconds."""
    return seconds(message.received_at - message.second)


def spell(message: TimeMessage) -> str:
    """The second that a message names."""
    return f"{_date(message):%Y-%m-%d %H:%M:%S} UTC"


def _date(message: TimeMessage) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=message.second // NS_PER_SECOND)
