"""What reference clocks report, and the samples that the engine makes of it.

The sign of an offset is defined here, once: positive means that the source is ahead of the local clock.
"""

import math
from dataclasses import dataclass, field
from enum import Enum, IntEnum, auto

from ntp_usg.core.base.doubts import Trouble
from ntp_usg.core.base.instants import HostNs, RawNs, WallNs
from ntp_usg.core.base.text import shown

_EARTH_RADIUS_M = 6_371_000.0


class FixQuality(IntEnum):
    """NMEA 0183 GGA field 6."""

    NO_FIX = 0
    GPS = 1
    DGPS = 2
    PPS = 3
    RTK = 4
    FLOAT_RTK = 5
    ESTIMATED = 6
    MANUAL = 7
    SIMULATION = 8

    @property
    def label(self) -> str:
        """As printed in logs and tables: `GPS`, `DGPS`, `No fix` ..."""
        return _QUALITY_LABELS[self]

    @property
    def rank(self) -> int:
        """How far the fix can be trusted: the numbers of GGA are no order (6 is dead reckoning, 4 is centimetres)."""
        return _QUALITY_RANKS[self]


_QUALITY_LABELS = {
    FixQuality.NO_FIX: "No fix",
    FixQuality.GPS: "GPS",
    FixQuality.DGPS: "DGPS",
    FixQuality.PPS: "PPS",
    FixQuality.RTK: "RTK",
    FixQuality.FLOAT_RTK: "Float RTK",
    FixQuality.ESTIMATED: "Estimated",
    FixQuality.MANUAL: "Manual",
    FixQuality.SIMULATION: "Simulation",
}
_QUALITY_RANKS = {
    FixQuality.NO_FIX: 0,
    FixQuality.ESTIMATED: 0,
    FixQuality.MANUAL: 0,
    FixQuality.SIMULATION: 0,
    FixQuality.GPS: 1,
    FixQuality.DGPS: 2,
    FixQuality.PPS: 3,
    FixQuality.FLOAT_RTK: 4,
    FixQuality.RTK: 5,
}


@dataclass(frozen=True, slots=True)
class Position:
    """Where an antenna is; north and east are positive, the height is above the ellipsoid or the sea as it is told."""

    latitude_deg: float
    longitude_deg: float
    height_m: float = 0.0

    def distance_m(self, other: "Position") -> float:
        """Between two places on one sphere: good to a percent, which is plenty to see that something moved."""
        north = math.radians(self.latitude_deg - other.latitude_deg)
        turn = (self.longitude_deg - other.longitude_deg + 180) % 360 - 180
        east = math.radians(turn) * math.cos(math.radians((self.latitude_deg + other.latitude_deg) / 2))
        return math.hypot(north * _EARTH_RADIUS_M, east * _EARTH_RADIUS_M, self.height_m - other.height_m)


@dataclass(frozen=True, slots=True)
class Fix:
    """What a receiver says of its own state; None where it has not said."""

    quality: FixQuality
    satellites_used: int | None = None
    satellites_in_view: int | None = None
    hdop: float | None = None
    pdop: float | None = None
    tdop: float | None = None
    dimensions: int | None = None
    """2 or 3: a fix in two takes the height from the one before; 1 of a timing receiver that knows its position."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class TimeMessage:
    """One second named by a receiver: `second` is the whole UTC second (fraction kept where the receiver sends one).

    `received_at` is when the first byte of the burst that names it arrived.
    """

    second: WallNs
    received_at: HostNs
    fix: Fix
    leap: int | None = None
    """What it says of the end of this month, UTC (RFC 5905 figure 9), if it says anything."""
    arrivals: tuple[tuple[str, HostNs], ...] = ()
    """When the first byte of each part of the burst came, by the part's name (`RMC`, `NAV-PVT`), in their order."""

    @property
    def stamped_by(self) -> str:
        """The part of the burst whose arrival `received_at` is; empty where the driver does not say."""
        return next((name for name, at in self.arrivals if at == self.received_at), "")


@dataclass(frozen=True, slots=True)
class MessageLatency:
    """How late one part of a receiver's bursts comes after its second. Seconds."""

    median: float
    spread: float
    """As of a normal distribution: two thirds of the messages lie so near to the median, 99.7 % within three of it."""
    uncertainty: float
    """Of the median, one standard deviation."""
    count: int
    """So many messages were measured."""

    @property
    def bound(self) -> float:
        """Half width of what one message may be off by, once the median is taken off."""
        return 3 * (self.spread + self.uncertainty)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A reading of a clock that tells the whole time: how far it was ahead of the host's clock, and when."""

    at: HostNs
    offset_ns: int
    dispersion: float
    """Half width in seconds of what this one reading may be off by."""
    leap: int = 0
    """What it says of the end of the day (RFC 5905 figure 9)."""


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """A device that was opened, or why it is gone."""

    connected: bool
    detail: str
    identity: str = field(default="", compare=False)
    """What tells it from another device under the same name, and from itself at another speed, where that is known; by
    itself it is no news, because the detail says it too."""
    is_news: bool = field(default=True, compare=False)
    """Whether people should read of it: a device whose state flaps has been told of often enough."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", shown(self.detail))


class PulseEnd(Enum):
    """Which end of a pulse an edge is. Of the two levels of a line the pulse is the one that lasts for less time."""

    UNKNOWN = auto()
    """The other end is not seen."""
    BEGIN = auto()
    END = auto()
    EVEN = auto()
    """Both levels last for half of the time: nobody can tell."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """One edge of a PPS signal as the kernel stamped it. `sequence` counts edges and may wrap at 2**32."""

    edge_at: HostNs
    sequence: int
    uncertainty: float = 0.0
    """Half width in seconds of what this stamp may be off by, besides what the line always is."""
    end: PulseEnd = PulseEnd.UNKNOWN


@dataclass(frozen=True, slots=True)
class PulseCorrection:
    """What must be added to the stamp of the edge that marks `second`: positive when the edge comes early."""

    second: WallNs
    correction_ps: int


@dataclass(frozen=True, slots=True)
class Reception:
    """All that a receiver finds wrong with itself, its antenna and the air at present; empty when all is well."""

    troubles: tuple[Trouble, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of the raw host clock against a source."""

    at: RawNs
    offset_ns: int
    """True time minus raw time, at `at`. Integer: between a raw clock and UTC may lie decades."""
    dispersion: float
    """Half width in seconds of what this one measurement may be off by."""
    delay: float = 0.0
    """Round trip in seconds, of samples that came over a network: what tells a good one from a bad one."""


@dataclass(frozen=True, slots=True)
class RemoteState:
    """What a server says of itself; intervals in seconds."""

    leap: int
    stratum: int
    reference_id: bytes
    root_delay: float
    root_dispersion: float
    precision: int
    """Exponent of two, in seconds."""
    reference_time: WallNs = WallNs(0)
    """When its clock was last set or corrected; 0 = it does not say."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One question to a server and its answer: the measurement, and what the server says of itself."""

    sample: Sample
    remote: RemoteState
