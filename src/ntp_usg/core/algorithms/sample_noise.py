"""What one sample may be off by, before the clock's own wander is known: rival readings, which the estimator weighs."""

import math
from collections import deque
from dataclasses import dataclass

from ntp_usg.core.algorithms.estimator import NoiseModel
from ntp_usg.core.base.instants import seconds
from ntp_usg.core.base.samples import Sample


@dataclass(frozen=True, slots=True)
class SampleNoise:
    """An error anywhere within +-`half_width` seconds, plus a normal one of `sigma` seconds."""

    half_width: float
    sigma: float

    @property
    def variance(self) -> float:
        """Square seconds."""
        return self.half_width * self.half_width / 3 + self.sigma * self.sigma


class NoiseReader:
    """Reads each sample's error off its delay, or, where samples have none, off how they scatter."""

    READINGS = 3
    """How many rival readings each sample gets."""
    WINDOW = 256
    RECENT = 32
    MEMORY = 64

    def __init__(self, noise: NoiseModel) -> None:
        self._noise = noise
        self._delays: deque[float] = deque(maxlen=self.WINDOW)
        self._last: deque[Sample] = deque(maxlen=2)
        self._scatter = noise.expected * noise.expected
        self._scatter_count = 0

    def read(self, sample: Sample) -> tuple[SampleNoise, ...]:
        """The rival readings of a sample, always READINGS and in the same order."""
        return self._by_delay(sample.delay) if sample.delay > 0 else self._by_scatter(sample)

    def _by_delay(self, delay: float) -> tuple[SampleNoise, ...]:
        """What a packet lost in queues it lost on the way there or back: the offset is off by half of it at most.

        Two exponential delays of known sum make the error uniform within that bound. The other readings hold where
        delay tells nothing (normal jitter), and where it tells less.
        """
        delays = self._delays
        delays.append(delay)
        lowest, count = min(delays), len(delays)
        mean = sum(delays) / count - lowest
        # The lowest of n sums of two exponential delays lies about this far above the true minimum.
        shortfall = mean * math.sqrt(1 / (2 * count))
        half_width = (delay - lowest + shortfall) / 2
        floor = self._noise.floor
        even = max(floor, mean / (2 * math.sqrt(2)))
        return (
            SampleNoise(half_width, floor),
            SampleNoise(half_width, even / 2),
            SampleNoise(0.0, even),
        )

    def _by_scatter(self, sample: Sample) -> tuple[SampleNoise, ...]:
        """How far a sample lies off the line between its neighbours shows the noise, whatever the frequency."""
        if len(self._last) == 2:
            self._learn_scatter(self._last[0], self._last[1], sample)
        self._last.append(sample)
        sigma = math.sqrt(self._scatter)
        return tuple(SampleNoise(0.0, max(self._noise.floor, sigma * factor)) for factor in (0.5, 1.0, 2.0))

    def _learn_scatter(self, first: Sample, middle: Sample, last: Sample) -> None:
        span = last.at - first.at
        if span <= 0:
            return
        weight = (middle.at - first.at) / span
        bow = seconds(middle.offset_ns - first.offset_ns) - weight * seconds(last.offset_ns - first.offset_ns)
        variance = bow * bow / (1 + weight * weight + (1 - weight) * (1 - weight))
        self._scatter_count = min(self._scatter_count + 1, self.MEMORY)
        if self._scatter_count > 8:
            variance = min(variance, 9 * self._scatter)
        self._scatter += (variance - self._scatter) / (self._scatter_count + 1)
