"""Clocks on cards: what the kernel says of them (linux/ptp_clock.h), brought to the host's clock."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, seconds
from ntp_usg.core.base.samples import Measurement

MAX_SAMPLES = 25
"""PTP_MAX_SAMPLES: so many readings at once, at most."""
RESOLUTION = 1e-9
"""Seconds: the kernel counts no finer."""
CAPABILITIES = struct.Struct("=7i52x")  # struct ptp_clock_caps
EVENT = struct.Struct("=qIIII8x")  # struct ptp_extts_event: seconds, nanoseconds, reserve, channel, flags
OFFSET = struct.Struct(f"=I12x{(2 * MAX_SAMPLES + 1) * 16}x")  # struct ptp_sys_offset
EXTENDED = struct.Struct(f"=I12x{3 * MAX_SAMPLES * 16}x")  # struct ptp_sys_offset_extended
PRECISE = struct.Struct("=qI4xqI4xqI4x16x")  # struct ptp_sys_offset_precise: card, wall and raw clock
_TIME = struct.Struct("=qI4x")  # struct ptp_clock_time
_HEADER = 16

_FARTHEST_NS = 2 * NS_PER_SECOND
"""An edge that waited longer for us belongs to a clock that was stepped since, or to a program that hung."""
_CLOSEST_NS = NS_PER_SECOND // 100
"""Two readings that lie closer tell less of the rate than they blur it."""
_MAX_RATE = 1e-3
"""No two clocks that only run free part faster."""
_SHORTER_HALF_NS = NS_PER_SECOND // 2


@dataclass(frozen=True, slots=True)
class PhcCapabilities:
    """What a card's clock can do: numbers of input channels and of pins, and whether it is read in one go."""

    channels: int
    pins: int
    cross_stamps: bool


@dataclass(frozen=True, slots=True)
class CrossStamp:
    """The card's clock was read between two readings of the host's: any of them may be of any era."""

    before: HostNs
    card_ns: int
    after: HostNs

    @property
    def width_ns(self) -> int:
        return self.after - self.before

    @property
    def host(self) -> HostNs:
        """The middle: no more than half the width from when the card was read."""
        return HostNs((self.before + self.after) // 2)


@dataclass(frozen=True, slots=True)
class Edge:
    """An edge on one of the card's inputs, by the card's clock."""

    channel: int
    card_ns: int


def parse_capabilities(data: bytes) -> PhcCapabilities:
    """Read a `struct ptp_clock_caps`; raises WireError for numbers that cannot be."""
    _, _, channels, _, _, pins, cross = _unpack(CAPABILITIES, data)
    if channels < 0 or pins < 0:
        raise WireError(f"a clock with {channels} channels and {pins} pins")
    return PhcCapabilities(channels, pins, bool(cross))


def parse_offset(data: bytes, count: int) -> list[CrossStamp]:
    """Read `count` samples of a `struct ptp_sys_offset`: host and card in turn, host at the end; raises WireError."""
    _unpack(OFFSET, data)
    times = [_time(data, number) for number in range(2 * count + 1)]
    return [CrossStamp(HostNs(times[at]), times[at + 1], HostNs(times[at + 2])) for at in range(0, 2 * count, 2)]


def parse_extended(data: bytes, count: int) -> list[CrossStamp]:
    """Read `count` samples of a `struct ptp_sys_offset_extended`: host, card, host; raises WireError."""
    _unpack(EXTENDED, data)
    times = [_time(data, number) for number in range(3 * count)]
    return [CrossStamp(HostNs(times[at]), times[at + 1], HostNs(times[at + 2])) for at in range(0, 3 * count, 3)]


def parse_precise(data: bytes) -> CrossStamp:
    """Read a `struct ptp_sys_offset_precise`: both clocks stamped by hardware at one instant; raises WireError."""
    card, card_ns, host, host_ns, _, _ = _unpack(PRECISE, data)
    at = HostNs(_nanoseconds(host, host_ns))
    return CrossStamp(at, _nanoseconds(card, card_ns), at)


def parse_edge(data: bytes) -> Edge:
    """Read a `struct ptp_extts_event`; raises WireError."""
    whole, nanoseconds, _, channel, _ = _unpack(EVENT, data)
    return Edge(channel, _nanoseconds(whole, nanoseconds))


def tightest(stamps: Sequence[CrossStamp]) -> CrossStamp:
    """The one with the least doubt; raises WireError where the host's clock ran backwards in all of them."""
    forward = [stamp for stamp in stamps if stamp.width_ns >= 0]
    if not forward:
        raise WireError("the host's clock was set while the card's was read")
    return min(forward, key=lambda stamp: stamp.width_ns)


def measure(stamp: CrossStamp, tai_offset: int = 0) -> Measurement:
    """A reading of a card's clock that is `tai_offset` seconds ahead of UTC."""
    offset_ns = stamp.card_ns - tai_offset * NS_PER_SECOND - stamp.host
    return Measurement(stamp.host, offset_ns, seconds(stamp.width_ns) / 2 + RESOLUTION)


class Pulses:
    """Picks the edges that mark seconds, and says when they came by the host's clock.

    Some cards stamp both edges of a pulse, whichever they are asked for: the one that counts follows the longer gap.
    """

    def __init__(self) -> None:
        self._stamps: list[CrossStamp] = []
        self._last_edge_ns: int | None = None

    def marks_second(self, card_ns: int) -> bool:
        """Whether an edge begins a pulse; the first does not, as nobody knows what was before it."""
        last, self._last_edge_ns = self._last_edge_ns, card_ns
        return last is not None and card_ns - last > _SHORTER_HALF_NS

    def compare(self, stamp: CrossStamp) -> None:
        """Learn how the two clocks stand: call it soon after each edge."""
        self._stamps = [*self._stamps[-1:], stamp]

    def host(self, card_ns: int) -> HostNs | None:
        """When that was by the host's clock; None where it is too far from the latest comparison."""
        latest = self._stamps[-1]
        elapsed_ns = card_ns - latest.card_ns
        if abs(elapsed_ns) > _FARTHEST_NS:
            return None
        return HostNs(latest.host + elapsed_ns + round(elapsed_ns * self._rate()))

    def _rate(self) -> float:
        """How much faster than the card's clock the host's runs; 0 where one was set, or too little is known."""
        first, last = self._stamps[0], self._stamps[-1]
        card_ns = last.card_ns - first.card_ns
        if not _CLOSEST_NS <= card_ns <= 2 * _FARTHEST_NS:
            return 0.0
        rate = (last.host - first.host - card_ns) / card_ns
        return rate if abs(rate) <= _MAX_RATE else 0.0


def _unpack(layout: struct.Struct, data: bytes) -> tuple[int, ...]:
    if len(data) != layout.size:
        raise WireError(f"{layout.size} bytes were expected of the kernel, and {len(data)} came")
    return layout.unpack(data)


def _time(data: bytes, number: int) -> int:
    return _nanoseconds(*_TIME.unpack_from(data, _HEADER + number * _TIME.size))


def _nanoseconds(whole: int, fraction: int) -> int:
    if fraction >= NS_PER_SECOND:
        raise WireError(f"a time with {fraction} nanoseconds")
    return whole * NS_PER_SECOND + fraction
