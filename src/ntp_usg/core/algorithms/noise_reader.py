"""How far a sample may be off, read off its delay and off how the samples before it scattered: rival readings."""

import math
from collections import deque
from dataclasses import dataclass, replace

from ntp_usg.core.algorithms.estimator import NoiseModel
from ntp_usg.core.algorithms.sample_noise import SampleNoise
from ntp_usg.core.algorithms.spread import shrinkage
from ntp_usg.core.base.instants import seconds
from ntp_usg.core.base.samples import Sample

MEMORY = 64
"""So many samples show how the next may scatter."""


YOUNG, QUIET_BY_CHANCE = 16, 0.01
"""Up to so many errors may seem quieter than they are, with this probability."""


@dataclass(frozen=True, slots=True)
class Scatter:
    """Mean square of the latest errors; one wild error hardly moves it. Square seconds."""

    variance: float
    count: int = 0

    @property
    def known(self) -> bool:
        """Whether enough errors were seen to go by."""
        return self.count >= 4

    def after(self, square: float) -> "Scatter":
        """With one squared error more."""
        count = min(self.count + 1, MEMORY + 1)
        if count > 9:
            square = min(square, 9 * self.variance)
        return Scatter(self.variance + (square - self.variance) / count, count)

    def doubted(self) -> "Scatter":
        """The same, but soon replaced by what is seen next."""
        return replace(self, count=min(self.count, 2))


@dataclass(frozen=True, slots=True)
class Ways:
    """How the two ways scatter, each by itself.

    An offset plus half of its delay has only the queue of the way there in it, an offset minus half of its delay that
    of the way back; how long the ways are, and how the clock runs, is the same in neighbours.
    """

    there: Scatter
    back: Scatter
    rest: Scatter
    """What is left of the offsets without the part that goes with the delay."""

    @property
    def lean(self) -> float:
        """How much of the delay above the least shows in the offset, as a regression would tell it.

        1/2 if all queues are on the way there, -1/2 if on the way back; drawn to 0 as far as chance may have made it.
        """
        total = self.there.variance + self.back.variance
        if not self.there.known or not total:
            return 0.0
        lean = (self.there.variance - self.back.variance) / (2 * total)
        chance = 4 * (0.25 - lean * lean) / self.there.count
        return lean**3 / (lean * lean + chance) if lean else 0.0

    def after(self, bow: float, delay_bow: float, room: float) -> "Ways":
        """With one distance more of an offset and its delay from the line between the neighbours."""
        there, back = (bow + delay_bow / 2) ** 2 / room, (bow - delay_bow / 2) ** 2 / room
        ways = Ways(self.there.after(there), self.back.after(back), self.rest)
        return replace(ways, rest=self.rest.after((bow - ways.lean * delay_bow) ** 2 / room))

    def doubted(self) -> "Ways":
        """The same, but soon replaced by what is seen next."""
        return Ways(self.there.doubted(), self.back.doubted(), self.rest.doubted())


class NoiseReader:
    """Reads each sample's error off its delay, or, where samples have none, off how they scatter."""

    READINGS = 4
    """How many rival readings each sample gets."""
    WINDOW = 256
    """So many samples tell the lowest delay; after a change of route the old one is forgotten that late."""
    SETTLED = 32
    """So many delays show what queues are like."""
    ONE_SIDED = 1 / 200
    """A route that became longer on one way did so on one way alone up to this part."""

    def __init__(self, noise: NoiseModel) -> None:
        self._noise = noise
        self._delays: deque[float] = deque(maxlen=self.WINDOW)
        self._lowest = self._least = math.inf
        """Lowest delay in the window, and since the queues were last even: that of the route which is believed."""
        self._mean = self._doubt = 0.0
        """By how much delays exceed the lowest one on average, and that one the true minimum at most."""
        self._shorter = False
        """Whether the latest delay was far below all others."""
        self._last: deque[Sample] = deque(maxlen=3)
        expected = noise.expected * noise.expected
        self._scatter = Scatter(expected, count=1)
        self._ways = Ways(Scatter(expected), Scatter(expected), self._scatter)
        self._before = self._scatter, self._ways, self._least

    def read(self, sample: Sample) -> tuple[SampleNoise, ...]:
        """The rival readings of a sample, always READINGS and in the same order."""
        self._before = self._scatter, self._ways, self._least
        if len(self._last) >= 2:
            self._learn(self._last[-2], self._last[-1], sample)
        self._last.append(sample)
        return self._by_delay(sample.delay) if sample.delay > 0 else self._by_scatter()

    def refuse(self) -> None:
        """The latest sample turned out an outlier: it says nothing of the route, nor of how the others scatter."""
        refused = self._last.pop()
        if self._delays and self._delays[-1] == refused.delay:
            self._delays.pop()
        self._scatter, self._ways, self._least = self._before

    def even(self) -> None:
        """No queue on one way explains the offsets: a lowest delay from before the window is that of another route."""
        self._least = self._lowest

    def restart(self) -> None:
        """The offsets so far and those to come lie on no line; delays and scatter stay what they are."""
        self._last.clear()

    def doubt(self) -> None:
        """Those to come may scatter otherwise, on another route: what was learned counts like one more of them."""
        self._scatter, self._ways = self._scatter.doubted(), self._ways.doubted()
        self._delays.clear()
        self._lowest = self._least = math.inf

    def detour(self, delay: float) -> float:
        """By how many seconds a delay exceeds the least, if that is more than queues explain; 0 otherwise."""
        excess = delay - self._least
        usual = max(self._noise.gate, 4 * self._mean)
        return excess if len(self._delays) >= self.SETTLED and excess > usual else 0.0

    def _by_scatter(self) -> tuple[SampleNoise, ...]:
        """Half, once and twice what was seen.

        The gate lets noise in that has begun just now, and only the third reading knows it for noise at once.
        """
        floor, scatter = self._noise.floor, self._sigma(self._scatter)
        sigmas = scatter / 2, scatter, max(2 * scatter, self._noise.gate / 3), 2 * scatter
        return tuple(SampleNoise(0.0, max(floor, sigma)) for sigma in sigmas)

    def _by_delay(self, delay: float) -> tuple[SampleNoise, ...]:
        """What a packet lost in queues it lost on the way there or back: the offset is off by half of it at most.

        Two exponential delays of the same mean and known sum make the error uniform within that bound. The second
        reading is for paths where delay tells less: normal jitter, time stamps of coarse clocks. The others are for
        queues that are longer on one way.
        """
        delays = self._delays
        former, self._shorter = self._shorter, math.inf > self._least - delay > 2 * max(self._mean, self._doubt)
        if self._shorter and not former:  # until the next sample agrees, somebody's stamps may as well be wrong
            return (SampleNoise(self._least / 2, self._noise.floor),) * self.READINGS
        if self._shorter:
            delays.clear()  # the route has become shorter, and nobody knows how short it is
        delays.append(delay)
        self._least = min(self._least, delay)
        self._lowest = lowest = min(delays)
        count = len(delays)
        self._mean = mean = max(self._noise.floor, sum(delays) / count - lowest)
        # The lowest of n sums of two exponential delays lies mean / sqrt(2 n) above the true minimum, give or take as
        # much again; the mean of a few is itself in doubt.
        self._doubt = lowest if count < 4 else min(lowest, mean * (1 + 4 / count) * 1.5 / math.sqrt(2 * count))
        even = SampleNoise((delay - lowest + self._doubt) / 2, max(self._noise.floor, self._doubt / 4))
        return even, self._by_regression(delay), self._by_queue(delay, 1), self._by_queue(delay, -1)

    def _by_regression(self, delay: float) -> SampleNoise:
        """The part of the offset that goes with the delay is a queue, and the rest scatters."""
        lean = self._ways.lean
        shortfall = self._shortfall(self._lowest, self._mean, math.sqrt((1 - 2 * abs(lean)) / (1 + 2 * abs(lean))))
        bias = lean * (delay - self._lowest + shortfall)
        rest = self._ways.rest
        doubt = shrinkage(rest.count, QUIET_BY_CHANCE) if rest.known and rest.count < YOUNG else 1.0
        return SampleNoise(0.0, doubt * self._sigma(rest), bias=bias, systematic=abs(lean) * shortfall)

    def _by_queue(self, delay: float, way: int) -> SampleNoise:
        """Most of the queues are on one way, there (1) or back (-1): the error is near that end of its bounds.

        Given their sum, two exponential delays of means a and b share it so that the error's density is tilted by
        1/a - 1/b. For the longer mean stands that of both, which leaves even queues to the even reading. The tilt is
        less where the delay is less than usual: queues that come and go leave quiet packets as they were.
        A route that became longer on one way is a queue that stays; as long as it explains the offsets, the least delay
        of the route before is kept.
        """
        ways = self._ways
        there, back = self._sigma(ways.there), self._sigma(ways.back)
        mean, short = there + back, back if way > 0 else there
        ratio = short / mean if ways.there.known else 1.0
        shortfall = self._shortfall(self._least, mean, ratio)
        excess = delay - self._least + shortfall
        tilt = -way * (1 / short - 1 / mean) * min(1.0, 2 * excess / mean) if ways.there.known else 0.0
        sharp = max(self._noise.floor, shortfall / 4)
        systematic = (1 - ratio) * shortfall / 2 + self.ONE_SIDED * (self._lowest - self._least)
        return SampleNoise(excess / 2, sharp, tilt, systematic=systematic)

    def _shortfall(self, lowest: float, mean: float, ratio: float) -> float:
        """By how much the lowest delay may exceed the true minimum, if queues take `mean` seconds on average.

        `ratio` is that of the two means: the lowest of n exponential delays lies mean / n above the minimum.
        """
        count = len(self._delays)
        doubt = (1 + 4 / count) * (1 / count + math.sqrt(2 * ratio / count) / (1 + ratio))
        return lowest if count < 4 else min(lowest, mean * doubt)

    def _sigma(self, scatter: Scatter) -> float:
        return max(self._noise.floor, math.sqrt(scatter.variance))

    def _learn(self, first: Sample, middle: Sample, last: Sample) -> None:
        """How far a sample lies off the line between its neighbours shows the noise, whatever the frequency."""
        span = last.at - first.at
        if span <= 0:
            return
        part = (middle.at - first.at) / span
        room = 1 + part * part + (1 - part) * (1 - part)
        bow = seconds(middle.offset_ns - first.offset_ns) - part * seconds(last.offset_ns - first.offset_ns)
        self._scatter = self._scatter.after(bow * bow / room)
        if middle.delay > 0:
            delay_bow = middle.delay - first.delay - part * (last.delay - first.delay)
            self._ways = self._ways.after(bow, delay_bow, room)
