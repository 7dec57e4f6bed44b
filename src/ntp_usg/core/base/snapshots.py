"""Immutable pictures of the state, published by the engine; responder, observers and CLI read nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from ntp_usg.core.base.doubts import Trouble
from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.mapping import IDENTITY, ClockMapping
from ntp_usg.core.base.samples import Fix, MessageLatency


class Leap(IntEnum):
    """RFC 5905 figure 9."""

    NONE = 0
    INSERT = 1
    DELETE = 2
    UNSYNCHRONISED = 3


UNSYNCHRONISED_STRATUM = 16
"""RFC 5905 MAXSTRAT; on the wire it is sent as 0."""

PHI = 15e-6
"""RFC 5905 frequency tolerance in seconds per second: how fast an error bound grows when nothing better is known."""


@dataclass(frozen=True, slots=True)
class ServingState:
    """All that an answer needs besides the request. Fixed size: it crosses to the workers through shared memory."""

    leap: Leap = Leap.UNSYNCHRONISED
    stratum: int = UNSYNCHRONISED_STRATUM
    precision: int = -20
    """Exponent of two, in seconds (RFC 5905 section 7.3)."""
    root_delay: float = 0.0
    root_dispersion: float = 0.0
    """Error bound in seconds at `as_of`."""
    dispersion_rate: float = PHI
    """How fast that bound grows, in seconds per second."""
    reference_id: bytes = b"INIT"
    reference_time: WallNs = WallNs(0)
    """When the clock was last set or corrected; 0 = never."""
    mapping: ClockMapping = IDENTITY
    """Host clock reading -> served time."""
    as_of: MonoNs = MonoNs(0)
    expires_at: MonoNs = MonoNs(0)
    """After this the state may not be served: its writer has died or hangs."""
    host_minus_mono_ns: int = 0
    """CLOCK_REALTIME minus CLOCK_MONOTONIC at `as_of`: shows whether another program moved the clock since."""
    epoch: int = 0
    """Counts steps of the clock: timestamps of two epochs never mix in one answer."""

    @property
    def synchronised(self) -> bool:
        return self.leap is not Leap.UNSYNCHRONISED

    def root_dispersion_at(self, now: MonoNs) -> float:
        """The error bound in seconds, grown to `now`."""
        return self.root_dispersion + self.dispersion_rate * max(0.0, (now - self.as_of) / 1e9)


class Tally(StrEnum):
    """What selection made of a source, as ntpq's `peers` table marks it."""

    REJECTED = " "
    FALSETICKER = "x"
    EXCESS = "."
    OUTLIER = "-"
    CANDIDATE = "+"
    SELECTED = "*"
    PPS = "o"


class SyncPhase(StrEnum):
    """Where the daemon is on its way to exact time."""

    STARTING = "starting"
    LOCKING = "locking"
    SYNCHRONISED = "synchronised"
    HOLDOVER = "holdover"
    UNSYNCHRONISED = "unsynchronised"


class LatencyOrigin(StrEnum):
    """Whose word a receiver's latency is."""

    PULSES = "pulses"
    CONFIGURED = "configured"
    SAVED = "saved"
    UNKNOWN = ""


class SourceKind(StrEnum):
    """What a source is, as far as views must tell them apart."""

    CLOCK = "clock"
    """A reference clock of this machine."""
    SERVER = "server"
    """An NTP server that is asked over the network."""


@dataclass(frozen=True, slots=True)
class ServerPath:
    """The two ends of the latest exchange with a server; addresses are numeric."""

    address: str
    port: int
    local_address: str | None = None
    """Known once the server has answered."""
    local_port: int = 0
    """Another one for each request (RFC 9109)."""


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """One source as people and monitors see it. Offsets and jitters in seconds, ages in seconds."""

    association: int
    """Its number from 1, for as long as the daemon runs."""
    name: str
    """For people: `GPS_NMEA(0)`, `PPS(0)`, or a server as it is configured. Views read nothing out of it."""
    kind: SourceKind
    driver: str
    unit: int
    """Of a reference clock: its number among those of its driver."""
    path: ServerPath | None
    """Of a server: where it is; None before its name was found, and for clocks."""
    origin: str
    """Where it was configured: `server.toml:12` or a flag."""
    device: str
    reference_id: bytes
    """Of a clock its own; of a server that of its source, INIT before it has answered."""
    stratum: int
    tally: Tally
    healthy: bool
    reason: str
    """Why it is or is not used, in words."""
    reach: int
    """Eight-bit shift register, newest poll lowest."""
    poll_interval: float
    last_heard_age: float | None
    offset: float | None
    """Latest measurement against the served clock."""
    delay: float
    root_delay: float
    """What a server says of its own path to its reference clock; 0 of a clock."""
    root_dispersion: float
    leap: Leap
    reference_time: WallNs
    """When a server set its clock, or a clock was heard, last; 0 = never."""
    jitter: float | None
    dispersion: float | None
    fix: Fix | None = None
    pulse_rate_hz: float | None = None
    message_latency: float | None = None
    """How long after its second a message arrives, where that is known; it is taken off."""
    latency_origin: LatencyOrigin = LatencyOrigin.UNKNOWN
    """Where that is known from: pulses that showed it in this run, the configuration, or an earlier run."""
    timed_part: str = ""
    """The part of its bursts whose arrival counts; empty where its driver tells of no parts."""
    latencies: Mapping[str, MessageLatency] = field(default_factory=dict)
    """How late each part of a burst comes, as pulses have shown in this run; the soonest first."""
    verdicts: Mapping[str, int] = field(default_factory=dict)
    """Counts by `outcome/reason`."""
    trust: float = 1.0
    """From 0 to 1: what the doubts leave of it. Below a half the source is watched, but not used."""
    doubts: tuple[Trouble, ...] = ()
    """All that speaks against the source at present."""


STAMPED_BY_CARD = "native, stamped by the card"
FAST_PATH_MODES = ("native", STAMPED_BY_CARD, "generic", "offload")
"""In the network driver, also with the card's receive stamps, just behind it, or on the card."""


@dataclass(frozen=True, slots=True)
class FastPathSnapshot:
    """Answering within the kernel, where that was asked for."""

    interfaces: Mapping[str, str]
    """How it works on each interface, in FAST_PATH_MODES, or why it does not."""
    answered: int
    """Requests that user space has not seen; the verdicts of all responders count them as well."""
    stamped: int = 0
    """How many of these answers tell when a card received the request, and not when the program saw it."""


@dataclass(frozen=True, slots=True)
class SystemSnapshot:
    """Everything there is to see, made when somebody wants to see it."""

    serving: ServingState
    phase: SyncPhase
    selected: str | None
    """Name of the source that the clock follows."""
    reserve: str | None
    """Name of the source that will lead next; until then the clock by itself is known better than by that source."""
    offset: float | None
    """Estimated remaining error of the served clock, in seconds; None while no source says."""
    jitter: float | None
    frequency_ppm: float | None
    """How much faster than true time the host clock runs by itself; None before the first lock."""
    host_offset: float | None
    """How far the served time is ahead of the host's clock, in seconds; None before the first lock."""
    clock: str
    """`system` or `virtual`."""
    holdover_age: float | None
    holdover_left: float | None
    """Seconds until the server will say that it is unsynchronised; None also while a source is in reserve."""
    sources: tuple[SourceSnapshot, ...]
