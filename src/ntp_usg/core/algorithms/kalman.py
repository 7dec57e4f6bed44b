"""A bank of Kalman filters of offset and frequency, one for each wander a clock may have, weighed by their evidence."""

import math
from dataclasses import replace
from itertools import pairwise

from ntp_usg.core.algorithms.estimator import CHANGED_EVERY, SUDDEN_CHANGE, Estimate, NoiseModel
from ntp_usg.core.algorithms.kalman_filter import LOST, Filter
from ntp_usg.core.algorithms.line_fit import SlopePrior
from ntp_usg.core.algorithms.noise_reader import NoiseReader
from ntp_usg.core.algorithms.sample_noise import SampleNoise, weigh
from ntp_usg.core.algorithms.spread import shrinkage
from ntp_usg.core.base.instants import RawNs, nanoseconds, seconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

WANDERS = tuple(10 ** (-11 + step / 2) for step in range(11))
"""Random walk of frequency from 0.01 ppb to 0.7 ppm in the root of a second: from an oven to a draughty board."""
HELD_RATE_DEVIATION = 1e-6
"""How far a crystal's frequency may wander while a source is away: 1 ppm, some ten kelvin."""
IMPOSSIBLE_RATE = 0.02
"""No clock runs off by 2 %: its first samples were of two minds, and the later one is begun with again."""
TURNS = 4
"""Filters that are lost try their luck only with each fourth sample: most are lost most of the time."""
NEGLIGIBLE = 1e-4
"""Parts of the best weight below which a filter has no say in the estimate."""
QUIET_BY_CHANCE = 0.01
"""How often the first samples may seem quieter than they are."""


class KalmanEstimator:
    """Learns offset and rate of a source, and with them how much the clock wanders and the samples scatter.

    The estimate is a mixture: the mean of all filters, each weighed by how well it foresaw the samples so far; how far
    they disagree is part of its deviation. A sample that none of them foresaw is held back, because a wild one would
    spoil them all, until the next samples show whether it was a glitch, or the clock or its source has changed.
    """

    ENOUGH = 4
    ENOUGH_WITH_DELAY = 2
    """A delay bounds the error of even the first sample; a second shows that the first was no freak."""
    RESTART_AFTER = 5
    """So many outliers in a row mean that the source moved, not that it glitched."""
    CONVINCED_AFTER = 3
    """So many that agree, if their delays show no queue and a crystal can have done it, are followed at once."""
    POSSIBLE_CHANGE = 50e-6
    """No crystal changes its frequency by more than 50 ppm within a poll interval."""
    JITTER_MEMORY = 32
    RELEARNED = 16
    """So many first samples without a delay are weighed again with each that comes: only many show their noise."""

    def __init__(self, noise: NoiseModel) -> None:
        self._noise = noise
        self._reader = NoiseReader(noise)
        self._prior = SlopePrior()
        self._filters = [
            Filter(wander * wander, reading) for reading in range(NoiseReader.READINGS) for wander in WANDERS
        ]
        self._mixture: list[tuple[float, Filter]] = []
        """The filters that have a say, and their weights, which add up to 1."""
        self._systematic = 0.0
        """Square seconds: variance of what the latest samples may be off by alike."""
        self._base_ns = 0
        self._latest: Sample | None = None
        self._first: list[Sample] = []
        self._count = 0
        self._suspects: list[tuple[Sample, tuple[SampleNoise, ...]]] = []
        self._near: list[tuple[Sample, tuple[SampleNoise, ...]]] = []
        """Of the suspects those that are no outliers."""
        self._innovations = 0
        self._scatter = self._possible_scatter = noise.expected * noise.expected
        """Square seconds: as measured, and what it may be as long as few samples have shown it."""

    def __len__(self) -> int:
        return self._count

    @property
    def ready(self) -> bool:
        has_delay = self._latest is not None and self._latest.delay > 0
        return self._count >= (self.ENOUGH_WITH_DELAY if has_delay else self.ENOUGH)

    @property
    def latest(self) -> Sample | None:
        return self._latest

    @property
    def wander(self) -> float:
        """Random walk of the clock's frequency: seconds per second, in the root of a second."""
        return math.sqrt(sum(w * each.process for w, each in self._mixture))

    def add(self, sample: Sample) -> Reason:
        """Take a sample in, or say that it is an outlier; so many in a row that it cannot be chance are followed."""
        if self._lost_touch(sample):
            self._reader.doubt()
        readings = self._reader.read(sample)
        if self.ready:
            far = self._is_outlier(sample, readings[0])
            if far or self._shows_change(sample, readings):
                self._suspects.append((sample, readings))
                self._near += [] if far else [(sample, readings)]
                if self._follow():
                    return Reason.USED
                self._reader.refuse()
                return Reason.OUTLIER
        for each in self._near:  # nothing has changed: they count like others
            self._take(*each)
        self._suspects, self._near = [], []
        self._take(sample, readings)
        return Reason.USED

    def _lost_touch(self, sample: Sample) -> bool:
        """Whether the delay is much longer after a time in which the clock may have moved by half of that.

        What was known of the route is worth nothing then, for nobody can tell which way became longer.
        """
        detour = self._reader.detour(sample.delay)
        if not detour or self._latest is None:
            return False
        return 3 * math.sqrt(self._predict(seconds(sample.at - self._latest.at))[1]) > detour / 2

    def _follow(self) -> bool:
        """Go by the samples refused so far, if they are enough to say what has happened."""
        suspects = self._suspects
        change = self._change()
        if change is None and len(suspects) < self.RESTART_AFTER:
            return False
        if change is None:
            self.restart()
            suspects = suspects if suspects[0][0].delay > 0 else suspects[-1:]
        else:
            self._reader.restart()
            suspects = suspects[-self.CONVINCED_AFTER :]
            self._take(*suspects.pop(0), change)
        for each in suspects:
            self._take(*each)
        self._suspects, self._near = [], []
        return True

    def _change(self) -> float | None:
        """The gap in seconds that the latest refused samples agree on, where a crystal may have made it."""
        latest = self._suspects[-self.CONVINCED_AFTER :]
        if len(latest) < self.CONVINCED_AFTER or min(sample.delay for sample, _ in latest) <= 0:
            return None
        assert self._latest is not None
        gaps = [self._gap(sample) for sample, _ in latest]
        least, most = min(gaps), max(gaps)
        if least < 0 < most or max(abs(least), abs(most)) > 4 * min(abs(least), abs(most)):
            return None
        possible = self.POSSIBLE_CHANGE * seconds(latest[0][0].at - self._latest.at)
        return gaps[0] if abs(gaps[0]) < possible else None

    def _gap(self, sample: Sample) -> float:
        """How far a sample lies from what was expected of it, in seconds."""
        expected = self.estimate(sample.at)
        assert expected is not None
        return seconds(sample.offset_ns - expected.offset_ns)

    def _take(self, sample: Sample, readings: tuple[SampleNoise, ...], gap: float = 0.0) -> None:
        if self._latest is None:
            self._begin(sample, readings)
        elif sample.delay <= 0 and self._young:
            self._relearn(sample, readings)
        else:
            self._learn(sample, self._latest, readings, gap)
        if abs(self._mean_rate()) > IMPOSSIBLE_RATE:
            self._begin(sample, readings)
        self._latest = sample
        self._count += 1

    def expect(self, rate: float, deviation: float) -> None:
        """Expect this frequency of the first samples."""
        self._prior = SlopePrior(rate, deviation)

    def shift(self, offset_ns: int) -> None:
        """Move what was measured by a leap second."""
        self._base_ns += offset_ns
        self._reader.restart()
        self._first = [replace(each, offset_ns=each.offset_ns + offset_ns) for each in self._first]
        if self._latest is not None:
            self._latest = replace(self._latest, offset_ns=self._latest.offset_ns + offset_ns)

    def restart(self) -> None:
        """Forget the samples but keep the frequency as the expectation for what follows."""
        if self.ready and not self._young:
            self._prior = SlopePrior(self._mean_rate(), math.hypot(HELD_RATE_DEVIATION, self._rate_deviation()))
        self._reader.restart()
        self._reader.doubt()
        self._latest = None
        self._count = 0
        self._suspects, self._near = [], []

    def estimate(self, at: RawNs) -> Estimate | None:
        """The weighted mean of the filters at an instant; None without samples."""
        if self._latest is None:
            return None
        offset, variance = self._predict(seconds(at - self._latest.at))
        return Estimate(
            self._base_ns + nanoseconds(offset),
            self._mean_rate(),
            math.sqrt(variance),
            math.sqrt(self._scatter),
            self._rate_deviation(),
        )

    def _predict(self, elapsed: float) -> tuple[float, float]:
        """Offset and its variance: that of the filters, that among them, and that of what no filter can see."""
        offset = sum(w * (each.offset + each.rate * elapsed) for w, each in self._mixture)
        variance = sum(
            w * (each.offset_variance_after(elapsed) + (each.offset + each.rate * elapsed - offset) ** 2)
            for w, each in self._mixture
        )
        return offset, max(0.0, variance) + self._systematic

    def _mean_rate(self) -> float:
        return sum(w * each.rate for w, each in self._mixture)

    @property
    def _young(self) -> bool:
        """Whether all its samples are weighed again with the next."""
        return len(self._first) == self._count < self.RELEARNED

    def _rate_deviation(self) -> float:
        rate = self._mean_rate()
        return math.sqrt(sum(w * (each.rate_variance + (each.rate - rate) ** 2) for w, each in self._mixture))

    def _is_outlier(self, sample: Sample, noise: SampleNoise) -> bool:
        expected = self.estimate(sample.at)
        assert expected is not None
        limit = max(self._noise.gate, 6 * math.sqrt(self._possible_scatter)) + 3 * expected.deviation + noise.half_width
        return abs(self._gap(sample)) > limit

    def _shows_change(self, sample: Sample, readings: tuple[SampleNoise, ...]) -> bool:
        """Whether a network sample is explained by a change of frequency rather than by queues and what is believed."""
        expected = self.estimate(sample.at)
        assert self._latest is not None
        assert expected is not None
        elapsed, gap = seconds(sample.at - self._latest.at), self._gap(sample)
        if sample.delay <= 0 or elapsed <= 0 or abs(gap) < readings[0].half_width + expected.deviation:
            return False
        measured, usual = seconds(sample.offset_ns - self._base_ns), SUDDEN_CHANGE * elapsed
        share = gap / usual
        changed = elapsed / CHANGED_EVERY / (math.pi * usual * (1 + share * share))
        foreseen = 0.0
        for weight, each in self._mixture:
            noise = readings[each.reading]
            spread = each.offset_variance_after(elapsed) + noise.sigma * noise.sigma
            innovation = measured - each.offset - each.rate * elapsed
            foreseen += weight * math.exp(weigh(innovation, noise, spread)[2])
            if foreseen > changed:
                return False
        return True

    def _relearn(self, sample: Sample, readings: tuple[SampleNoise, ...]) -> None:
        """As if the noise had been known from the first: where it is taken for too small a wild rate stays behind."""
        samples = [*self._first, sample]
        doubt = shrinkage(len(samples), QUIET_BY_CHANCE) if len(samples) >= self.ENOUGH else 1.0
        readings = tuple(replace(each, sigma=doubt * each.sigma) for each in readings)
        self._begin(samples[0], readings)
        for self._count, (previous, each) in enumerate(pairwise(samples), start=1):
            self._learn(each, previous, readings)
        self._first = samples
        # Doubted once more, because what is refused would teach nothing.
        self._possible_scatter = (doubt * readings[1].sigma) ** 2

    def _begin(self, sample: Sample, readings: tuple[SampleNoise, ...]) -> None:
        self._first, self._count, self._innovations = [sample], 0, 0
        self._base_ns = sample.offset_ns
        priors = self._prior.rivals
        for number, each in enumerate(self._filters):
            noise = readings[each.reading]
            each.begin(-noise.mean, noise.variance, priors[number % len(priors)])
        self._mixture = [(1 / len(self._filters), each) for each in self._filters]

    def _learn(self, sample: Sample, previous: Sample, readings: tuple[SampleNoise, ...], gap: float = 0.0) -> None:
        elapsed = max(0.0, seconds(sample.at - previous.at))
        measured = seconds(sample.offset_ns - self._base_ns)
        innovation = measured - self._predict(elapsed)[0]
        awake = [
            each
            for turn, each in enumerate(self._filters, start=self._count)
            if each.log_weight > LOST or turn % TURNS == 0
        ]
        for each in awake:
            each.advance(elapsed)
            if gap:
                each.loosen(elapsed, gap)
            each.learn(measured, readings[each.reading])
        self._reweigh(awake)
        if not any(readings[each.reading].tilt for _, each in self._mixture):
            self._reader.even()
        self._systematic = sum(w * readings[each.reading].systematic ** 2 for w, each in self._mixture)
        self._rebase()
        if self._count >= self.ENOUGH and not gap:
            self._innovations = min(self._innovations + 1, self.JITTER_MEMORY)
            square = innovation * innovation
            self._scatter += (square - self._scatter) / self._innovations
            self._possible_scatter += (square - self._possible_scatter) / self._innovations

    def _reweigh(self, awake: list[Filter]) -> None:
        leader = max(awake, key=lambda each: each.log_weight)
        best = leader.log_weight
        for each in awake:
            each.log_weight -= best
        for each in self._filters:
            if each.log_weight <= LOST:
                each.follow(leader)
        weights = [(math.exp(each.log_weight), each) for each in self._filters]
        total = sum(weight for weight, _ in weights if weight > NEGLIGIBLE)
        self._mixture = [(weight / total, each) for weight, each in weights if weight > NEGLIGIBLE]

    def _rebase(self) -> None:
        """Keep the floats small: between a raw clock and UTC may lie decades, and no nanosecond must be lost."""
        shift_ns = nanoseconds(self._predict(0.0)[0])
        shift = seconds(shift_ns)
        self._base_ns += shift_ns
        for each in self._filters:
            each.offset -= shift
