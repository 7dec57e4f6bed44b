"""Least squares of a straight line with a prior on its slope: an offset and a frequency from noisy offsets."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ANY_CLOCK = 500e-6
"""Deviation of what computers' clocks run off by, crystals that are no good and virtual machines included."""


@dataclass(frozen=True, slots=True)
class SlopePrior:
    """What is known of the slope before any measurement, in seconds per second."""

    rate: float = 0.0
    deviation: float = 1e-4
    """100 ppm: a computer's crystal by data sheet, at any temperature."""

    @property
    def rivals(self) -> tuple["SlopePrior", ...]:
        """Itself, and what to expect who half believes it or not at all: it may be another machine's by now."""
        unknown = max(self.deviation, ANY_CLOCK)
        return self, SlopePrior(self.rate, math.sqrt(self.deviation * unknown)), SlopePrior(self.rate, unknown)


FREE_SLOPE = SlopePrior(deviation=1.0)
"""Nothing is known: any clock that runs at all is within this."""


@dataclass(frozen=True, slots=True)
class LineFit:
    """A line through offsets: `intercept` seconds at time 0, `rate` seconds per second, and how far each may be off."""

    intercept: float
    rate: float
    intercept_variance: float
    covariance: float
    rate_variance: float
    jitter: float
    """Root mean square of what the line leaves unexplained, in seconds."""

    def value(self, time: float) -> float:
        """The line at a time in seconds."""
        return self.intercept + self.rate * time

    def deviation(self, time: float) -> float:
        """Standard deviation of the line at a time: it grows away from the measurements."""
        variance = self.intercept_variance + 2 * self.covariance * time + self.rate_variance * time * time
        return math.sqrt(max(0.0, variance))


def fit_line(
    times: Sequence[float], offsets: Sequence[float], prior: SlopePrior, expected_noise: float, noise_floor: float
) -> LineFit:
    """The most likely line through one or more points (seconds, seconds).

    The noise is measured from a first fit, which takes `expected_noise` for granted; with under four points there is
    nothing to measure it by and the expectation stands.
    """
    first = _solve(times, offsets, prior, expected_noise)
    if len(times) < 4:
        return first
    return _solve(times, offsets, prior, max(first.jitter, noise_floor))


def _solve(times: Sequence[float], offsets: Sequence[float], prior: SlopePrior, noise: float) -> LineFit:
    """Normal equations of y = a + b t with a Gaussian prior on b."""
    count = len(times)
    weight = 1.0 / (noise * noise)
    prior_weight = 1.0 / (prior.deviation * prior.deviation)
    s_0 = weight * count
    s_t = weight * sum(times)
    s_tt = weight * sum(t * t for t in times) + prior_weight
    s_y = weight * sum(offsets)
    s_ty = weight * sum(t * y for t, y in zip(times, offsets, strict=True)) + prior_weight * prior.rate
    determinant = s_0 * s_tt - s_t * s_t
    intercept = (s_tt * s_y - s_t * s_ty) / determinant
    rate = (s_0 * s_ty - s_t * s_y) / determinant
    unexplained = sum((y - intercept - rate * t) ** 2 for t, y in zip(times, offsets, strict=True))
    jitter = math.sqrt(unexplained / (count - 2)) if count > 2 else noise
    return LineFit(intercept, rate, s_tt / determinant, -s_t / determinant, s_0 / determinant, jitter)
