"""One Kalman filter of offset and frequency: it takes samples with bounded errors, and weighs itself by them."""

from dataclasses import dataclass

from ntp_usg.core.algorithms.line_fit import SlopePrior
from ntp_usg.core.algorithms.sample_noise import SampleNoise, weigh

FORGETTING = 0.997
"""Evidence of a sample that is n samples old counts FORGETTING**n: a clock's wander changes with its surroundings."""
LOST = -16.0
"""A filter whose log weight is this far below the best starts again from the best one's estimate."""


@dataclass(slots=True)
class Filter:
    """Offset (seconds, relative to a common base) and rate with their covariances, under one belief of the noises."""

    process: float
    """Variance that the rate gains in a second."""
    reading: int
    """Which of the rival readings of a sample's noise it believes."""
    offset: float = 0.0
    rate: float = 0.0
    offset_variance: float = 0.0
    covariance: float = 0.0
    rate_variance: float = 0.0
    log_weight: float = 0.0

    def offset_variance_after(self, elapsed: float) -> float:
        """Variance of the offset predicted over an interval in seconds."""
        growth = 2 * self.covariance + elapsed * (self.rate_variance + self.process * elapsed / 3)
        return self.offset_variance + elapsed * growth

    def advance(self, elapsed: float) -> None:
        """Predict over an interval in seconds."""
        self.offset_variance = self.offset_variance_after(elapsed)
        self.covariance += elapsed * (self.rate_variance + self.process * elapsed / 2)
        self.rate_variance += self.process * elapsed
        self.offset += self.rate * elapsed

    def learn(self, measured: float, noise: SampleNoise) -> None:
        """Take in a measured offset, and how likely it was."""
        spread = self.offset_variance + noise.sigma * noise.sigma
        shift, remaining, evidence = weigh(measured - self.offset, noise, spread)
        offset_gain, rate_gain = self.offset_variance / spread, self.covariance / spread
        # As products, for differences lose all digits where the prediction is much worse than the measurement.
        kept = (noise.sigma * noise.sigma + self.offset_variance * remaining) / spread
        rate_variance = self.rate_variance - rate_gain * rate_gain * (1 - remaining) * spread
        self.offset += offset_gain * shift
        self.rate += rate_gain * shift
        self.offset_variance *= kept
        self.covariance *= kept
        self.rate_variance = max(rate_variance, self.covariance * self.covariance / self.offset_variance)
        self.log_weight = FORGETTING * self.log_weight + evidence

    def loosen(self, elapsed: float, gap: float) -> None:
        """Let a gap be explained by what happened in the last `elapsed` seconds: a step, or a change of frequency."""
        change = gap / elapsed
        self.offset_variance += 2 * gap * gap
        self.covariance += 1.5 * gap * change
        self.rate_variance += 3 * change * change

    def begin(self, offset: float, offset_variance: float, prior: SlopePrior) -> None:
        """Start from one offset and what is expected of the rate."""
        self.offset, self.rate = offset, prior.rate
        self.offset_variance, self.rate_variance = offset_variance, prior.deviation * prior.deviation
        self.covariance = 0.0
        self.log_weight = 0.0

    def follow(self, leader: "Filter") -> None:
        """Take over what another one has estimated."""
        self.offset, self.rate = leader.offset, leader.rate
        self.offset_variance, self.covariance = leader.offset_variance, leader.covariance
        self.rate_variance = leader.rate_variance
        self.log_weight = LOST
