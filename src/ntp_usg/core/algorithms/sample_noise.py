"""What one sample may be off by, before the clock's own wander is known, and what it then says of the clock."""

import math
from dataclasses import dataclass, field

ROOT_2 = math.sqrt(2)
LOG_ROOT_2_PI = math.log(math.sqrt(2 * math.pi))
NARROW = 0.3
"""Between bounds within so few deviations a bell curve is as good as its tangent, a tilt."""
FAR = 5.0
"""So many deviations out the normal distribution falls off like an exponential one, and erf has no digits left."""


@dataclass(frozen=True, slots=True)
class SampleNoise:
    """Errors that add up: `bias`, one within +-`half_width`, and a normal one of `sigma`. Seconds.

    The density of the bounded one is proportional to exp(-`tilt` * error): flat with a tilt of 0, and with a large one
    nearly all of it lies at an end.
    """

    half_width: float
    sigma: float
    tilt: float = 0.0
    bias: float = 0.0
    systematic: float = 0.0
    """Standard deviation of what all samples of late are off by alike, which no average shows."""
    mean: float = field(init=False)
    bounded_variance: float = field(init=False)
    log_density: float = field(init=False)
    """Of the bounded error in its middle."""

    def __post_init__(self) -> None:
        mean, variance, log_density = _moments(self.half_width, self.tilt)
        object.__setattr__(self, "mean", self.bias + mean)
        object.__setattr__(self, "bounded_variance", variance)
        object.__setattr__(self, "log_density", log_density)

    @property
    def variance(self) -> float:
        """About the mean, square seconds."""
        return self.bounded_variance + self.sigma * self.sigma


def _moments(half_width: float, tilt: float) -> tuple[float, float, float]:
    """Mean and variance of the bounded error, and the logarithm of its density in the middle."""
    lean = tilt * half_width
    if abs(lean) < 1e-3:
        flat = -math.log(2 * half_width) if half_width > 0 else 0.0
        return -half_width * lean / 3, half_width * half_width / 3, flat
    size = abs(lean)
    log_density = math.log(abs(tilt)) - size - math.log1p(-math.exp(-2 * size))
    if size > 50:
        return math.copysign(half_width - half_width / size, -tilt), 1 / (tilt * tilt), log_density
    part = 1 / math.tanh(lean) - 1 / lean
    return -half_width * part, half_width * half_width * (1 - part * part - 2 * part / lean), log_density


def weigh(innovation: float, noise: SampleNoise, spread: float) -> tuple[float, float, float]:
    """A normal value of variance `spread` around 0 was measured as `innovation`, with the bias and the bounded error.

    Gives its mean, the part of its variance that remains, and the logarithm of how likely that was.
    """
    sigma = math.sqrt(spread)
    innovation -= noise.bias
    if noise.half_width < NARROW * sigma:
        mean, variance, log_density = _moments(noise.half_width, noise.tilt - innovation / spread)
        evidence = -innovation * innovation / (2 * spread) - 0.5 * math.log(spread) - LOG_ROOT_2_PI
        return innovation - mean, variance / (spread + variance), evidence + noise.log_density - log_density
    # The tilt of the error is a tilt of the value, and a normal value that is tilted is a normal value that is shifted.
    shift = noise.tilt * spread
    log_density = noise.log_density - noise.tilt * (innovation - shift / 2)
    low, high = (innovation - noise.half_width - shift) / sigma, (innovation + noise.half_width - shift) / sigma
    if low > FAR or high < -FAR:
        mean, remaining, log_probability = _far_out(low, high) if low > 0 else _far_out(-high, -low)
        return shift + math.copysign(mean, low) * sigma, remaining, log_density + log_probability
    probability = 0.5 * (math.erf(high / ROOT_2) - math.erf(low / ROOT_2))
    at_low, at_high = _density(low), _density(high)
    mean = (at_low - at_high) / probability
    remaining = 1 + (low * at_low - high * at_high) / probability - mean * mean
    return shift + mean * sigma, max(remaining, 1e-9), log_density + math.log(probability)


def _far_out(near: float, far: float) -> tuple[float, float, float]:
    """Mean, variance and log probability of a standard normal value between two limits far in its upper tail."""
    rate, width = near + 2 / near, far - near
    mean, variance = 1 / rate, 1 / (rate * rate)
    log_probability = -near * near / 2 - LOG_ROOT_2_PI - math.log(near + 1 / near)
    if rate * width < 40:
        cut = math.expm1(rate * width)
        mean -= width / cut
        variance = max(variance - width * width * (cut + 1) / (cut * cut), 1e-9)
        log_probability += math.log(-math.expm1(-rate * width))
    return near + mean, variance, log_probability


def _density(value: float) -> float:
    return math.exp(-value * value / 2 - LOG_ROOT_2_PI)
