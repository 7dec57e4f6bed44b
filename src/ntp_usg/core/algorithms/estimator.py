"""What every estimator does: samples of one source in, true time minus raw time at any instant out."""

from dataclasses import dataclass
from typing import Protocol

from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

SUDDEN_CHANGE, CHANGED_EVERY = 3e-6, 86400.0
"""Once a day (seconds) a crystal changes its frequency at once, by some 3 ppm: a fan starts, a job ends."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """What to expect of a source's samples, in seconds."""

    expected: float
    floor: float
    gate: float
    """A sample nearer than this to the line is never an outlier."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """True time minus raw time at one instant, and how well it is known."""

    offset_ns: int
    rate: float
    """Seconds per second."""
    deviation: float
    """Standard deviation of the offset in seconds."""
    jitter: float
    """Root mean square of what the samples scatter, in seconds."""
    rate_deviation: float = 1e-6
    """Standard deviation of the rate, in seconds per second."""


class Estimator(Protocol):
    """Learns one source. Works on the raw timeline, which steering does not move."""

    def __len__(self) -> int:
        """How many samples it goes by."""

    @property
    def ready(self) -> bool:
        """Whether its estimate may steer the clock."""

    @property
    def latest(self) -> Sample | None: ...

    def add(self, sample: Sample) -> Reason:
        """Take a sample in (USED), or say that it is an OUTLIER."""

    def expect(self, rate: float, deviation: float) -> None:
        """Expect this frequency of the first samples: somebody has learned it before."""

    def shift(self, offset_ns: int) -> None:
        """Move what was measured: UTC has left out or counted twice a second, and no clock has moved."""

    def restart(self) -> None:
        """Forget the samples but keep the frequency as the expectation for what follows."""

    def estimate(self, at: RawNs) -> Estimate | None:
        """The estimate at an instant; None without samples."""
