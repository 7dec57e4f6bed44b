"""What the engine must know of its sources and its promises; built from the configuration by the daemon."""

from dataclasses import dataclass

from ntp_usg.core.base.samples import FixQuality


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """What every reference clock has. Times in seconds."""

    name: str
    driver: str
    device: str
    reference_id: bytes
    stratum: int = 0
    poll_interval: float = 1.0
    timeout: float
    """Without an accepted sample for so long, the source is lost."""
    accuracy: float
    """Bound of its systematic error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverSettings(SourceSettings):
    """A receiver that names seconds by messages."""

    min_satellites: int = 4
    min_quality: FixQuality = FixQuality.GPS
    latency: float = 0.0
    """How long after its second a message arrives, where no pulse shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseSettings(SourceSettings):
    """A pulse line that marks seconds without naming them."""

    offset: float = 0.0
    """How long after the true second the edge is stamped (cable, interrupt)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """The promises of the server. Times in seconds."""

    receivers: tuple[ReceiverSettings, ...] = ()
    pulse_lines: tuple[PulseSettings, ...] = ()
    stratum: int = 1
    """Never claim a better one."""
    precision: int = -20
    holdover_budget: float = 0.01
    """Error that holdover may add before the server declares itself unsynchronised."""
    step_threshold: float = 0.128
    """A larger error is stepped away (RFC 5905 STEPT), a smaller one slewed."""
    slew_time: float = 4.0
    max_slew_rate: float = 500e-6
    state_lifetime: float = 64.0
    """How long answers may go on from a state that nobody renews."""
