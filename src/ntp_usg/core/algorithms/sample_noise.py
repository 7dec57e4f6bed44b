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
    """So many samples tell the lowest delay; after a change of route the old one is forgotten that late."""
    MEMORY = 64

    def __init__(self, noise: NoiseModel) -> None:
        self._noise = noise
        self._delays: deque[float] = deque(maxlen=self.WINDOW)
        self._last: deque[Sample] = deque(maxlen=3)
        self._variance = noise.expected * noise.expected
        self._bows = 0
        self._before = self._variance, self._bows

    def read(self, sample: Sample) -> tuple[SampleNoise, ...]:
        """The rival readings of a sample, always READINGS and in the same order."""
        self._before = self._variance, self._bows
        if len(self._last) >= 2:
            self._learn_scatter(self._last[-2], self._last[-1], sample)
        self._last.append(sample)
        scatter = max(self._noise.floor, math.sqrt(self._variance))
        if sample.delay <= 0:
            # The gate lets noise in that has begun just now, and only the last reading knows it for noise at once.
            sigmas = scatter / 2, scatter, max(2 * scatter, self._noise.gate / 3)
            return tuple(SampleNoise(0.0, max(self._noise.floor, sigma)) for sigma in sigmas)
        return (*self._by_delay(sample.delay), SampleNoise(0.0, scatter))

    def refuse(self) -> None:
        """The latest sample turned out an outlier: it says nothing of how the others scatter."""
        self._last.pop()
        self._variance, self._bows = self._before

    def restart(self) -> None:
        """The offsets so far and those to come lie on no line; delays and scatter stay what they are."""
        self._last.clear()

    def doubt(self) -> None:
        """Those to come may scatter otherwise: what was learned counts like one more of them."""
        self._bows = min(self._bows, 1)

    def _by_delay(self, delay: float) -> tuple[SampleNoise, SampleNoise]:
        """What a packet lost in queues it lost on the way there or back: the offset is off by half of it at most.

        Two exponential delays of known sum make the error uniform within that bound. The second reading is for paths
        where the delay tells less.
        """
        delays = self._delays
        delays.append(delay)
        lowest, count = min(delays), len(delays)
        mean = sum(delays) / count - lowest
        # The lowest of n sums of two exponential delays lies mean / sqrt(2 n) above the true minimum, give or take as
        # much again; the mean of a few is itself in doubt.
        shortfall = lowest if count < 4 else min(lowest, mean * (1 + 4 / count) * 1.5 / math.sqrt(2 * count))
        half_width = (delay - lowest + shortfall) / 2
        sharp = max(self._noise.floor, shortfall / 4)
        return SampleNoise(half_width, sharp), SampleNoise(half_width, max(sharp, mean / 4))

    def _learn_scatter(self, first: Sample, middle: Sample, last: Sample) -> None:
        """How far a sample lies off the line between its neighbours shows the noise, whatever the frequency."""
        span = last.at - first.at
        if span <= 0:
            return
        part = (middle.at - first.at) / span
        bow = seconds(middle.offset_ns - first.offset_ns) - part * seconds(last.offset_ns - first.offset_ns)
        variance = bow * bow / (1 + part * part + (1 - part) * (1 - part))
        self._bows = min(self._bows + 1, self.MEMORY)
        if self._bows > 8:
            variance = min(variance, 9 * self._variance)
        self._variance += (variance - self._variance) / (self._bows + 1)
