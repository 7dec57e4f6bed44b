"""What the engine must know of its sources and its promises; built from the configuration by the daemon."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ntp_usg.core.algorithms.leap_list import LeapTable
from ntp_usg.core.algorithms.selection import SelectionSettings
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.samples import FixQuality, MessageLatency

Algorithm = Literal["kalman", "regression", "pll"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What every reference clock has. Times in seconds."""

    name: str
    driver: str
    device: str
    reference_id: bytes
    unit: int = 0
    """Number among the clocks of its driver."""
    origin: str = ""
    """Where it was configured: `server.toml:12` or a flag."""
    stratum: int = 0
    poll_interval: float = 1.0
    filter_length: int = 1
    """So many samples are taken for one (see core/algorithms/median.py)."""
    timeout: float
    """Without an accepted sample for so long, the source is lost."""
    accuracy: float
    """Bound of its systematic error."""
    prefer: bool = False
    """Follow this one alone while it is among the truechimers."""
    trust: bool = False
    """Never let sources without this mark outvote it."""
    require: bool = False
    """Follow nobody while no source with this mark is good."""
    noselect: bool = False
    """Watch it, but never follow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings(SourceSettings):
    """A receiver that names seconds by messages."""

    min_satellites: int = 4
    min_quality: FixQuality = FixQuality.GPS
    latency: float = 0.0
    """How long after its second a message arrives, where no pulse shows it; 0 = nobody has said."""
    mobile: bool = False
    """The receiver is in a vehicle: that its position moves is no reason for doubt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseSettings(SourceSettings):
    """A pulse line that marks seconds without naming them."""

    offset: float = 0.0
    """How long after the true second the edge is stamped (cable, interrupt)."""
    rate_hz: int = 1
    """Pulses in a second, one of which begins it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSettings(SourceSettings):
    """A clock that tells the whole time by itself: shared memory, gpsd, a card."""

    offset: float = 0.0
    """How late its news are, steadily."""
    standby: bool = False
    """A clock that drifts and that nobody watches: it has a vote only while no other source can be heard."""
    orphan: bool = False
    """Of a fallback: one of a group that keeps one time among themselves when they have lost every other."""
    fallback: bool = False
    """No clock of its own: the one that is served, for a network that has no other. It leads where nobody else can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings(SourceSettings):
    """Another NTP server; `accuracy` and `timeout` come from its answers."""

    association: AssociationSettings
    offset: float = 0.0
    """How far its time is known to be ahead of true time, by an asymmetric path say."""
    timeout: float = 0.0
    accuracy: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """What to follow, how, and the promises of the server. Times in seconds."""

    receivers: tuple[ReceiverSettings, ...] = ()
    pulse_lines: tuple[PulseSettings, ...] = ()
    clocks: tuple[ClockSettings, ...] = ()
    servers: tuple[NetworkSettings, ...] = ()
    algorithm: Algorithm = "kalman"
    selection: SelectionSettings = SelectionSettings()
    stratum: int = 1
    """Never claim a better one."""
    precision: int = -20
    holdover_budget: float | None = None
    """Error that holdover may add before the server declares itself unsynchronised; None = 10 ms where there is
    a clock of this machine, and else until the bound passes `selection.max_distance`."""
    least_dispersion: float = 0.0
    """The error bound grows by so much at least, in holdover too; seconds per second."""
    step_threshold: float = 0.128
    """A larger error is stepped away (RFC 5905 STEPT), a smaller one slewed."""
    step_limit: int = -1
    """After so many corrections nothing is stepped any more; -1 = no limit."""
    panic_threshold: float = 1000.0
    """A clock that was right is not corrected by more (RFC 5905 PANICT): something else must be wrong."""
    max_rate: float = 500e-6
    """No clock is believed to be off by more, in seconds per second."""
    slew_time: float = 4.0
    max_slew_rate: float = 500e-6
    leap_table: LeapTable | None = None
    """The published list of leap seconds."""
    leap_smear: bool = False
    """Spread a leap second over a day instead of announcing it."""
    saved_frequency: tuple[float, float] | None = None
    """Rate of true time against the raw clock as it was before the restart, and its deviation; seconds per second."""
    saved_latencies: Mapping[str, Mapping[str, MessageLatency]] = field(default_factory=dict)
    """How late each part of receivers' bursts came before the restart, by `Receiver.key`."""
    state_lifetime: float = 64.0
    """How long answers may go on from a state that nobody renews."""
