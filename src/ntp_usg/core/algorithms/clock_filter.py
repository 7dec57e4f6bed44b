"""The RFC 5905 family as an estimator: the clock filter of section 10 feeds the loop of section 11.3."""

import math
from collections import deque
from dataclasses import replace

from ntp_usg.core.algorithms.estimator import Estimate, NoiseModel
from ntp_usg.core.algorithms.pll import PllFll
from ntp_usg.core.base.instants import RawNs, nanoseconds, seconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.snapshots import PHI
from ntp_usg.core.base.verdicts import Reason


class ClockFilter:
    """The last eight samples of a source: the one with the shortest way there and back is the best of them."""

    STAGES = 8

    def __init__(self) -> None:
        self.stages: deque[Sample] = deque(maxlen=self.STAGES)
        self._used_at: RawNs | None = None

    def add(self, sample: Sample) -> Sample | None:
        """Shift a sample in; returns the best if it is newer than the one that was best before."""
        self.stages.append(sample)
        best = min(self.stages, key=lambda each: each.delay / 2 + each.dispersion + PHI * seconds(sample.at - each.at))
        if self._used_at is not None and best.at <= self._used_at:
            return None
        self._used_at = best.at
        return best

    def shift(self, offset_ns: int) -> None:
        """Move what was measured by a leap second."""
        moved = [replace(sample, offset_ns=sample.offset_ns + offset_ns) for sample in self.stages]
        self.stages = deque(moved, maxlen=self.STAGES)

    def clear(self) -> None:
        self.stages.clear()
        self._used_at = None


class LoopEstimator:
    """A clock steered by the RFC's loop; its reading is the estimate. Selectable for comparison, and for old habits."""

    ENOUGH = 4
    RESTART_AFTER = 5
    """So many outliers in a row mean that the source moved, not that it glitched (RFC 5905 waits 900 s)."""
    JITTER_MEMORY = 4

    def __init__(self, noise: NoiseModel) -> None:
        self._noise = noise
        self._filter = ClockFilter()
        self._loop = PllFll()
        self._base_ns = 0
        self._at: RawNs | None = None
        self._latest: Sample | None = None
        self._count = 0
        self._outliers = 0
        self._variance = noise.expected * noise.expected

    def __len__(self) -> int:
        return len(self._filter.stages)

    @property
    def ready(self) -> bool:
        return self._count >= self.ENOUGH and self._loop.settled

    @property
    def latest(self) -> Sample | None:
        return self._latest

    def add(self, sample: Sample) -> Reason:
        """Take a sample in, or say that it is an OUTLIER; after RESTART_AFTER of those the loop begins again."""
        if self.ready and self._is_outlier(sample):
            self._outliers += 1
            if self._outliers < self.RESTART_AFTER:
                return Reason.OUTLIER
            self.restart()
        self._outliers = 0
        previous, self._latest = self._latest, sample
        self._count += 1
        best = self._filter.add(sample)
        if self._at is None:
            self._base_ns, self._at = sample.offset_ns, sample.at
        elif best is not None and previous is not None:
            self._follow(best, sample.at, seconds(sample.at - previous.at))
        return Reason.USED

    def expect(self, rate: float, deviation: float) -> None:  # noqa: ARG002 - the loop knows no doubt
        """Expect this frequency of the first samples."""
        self._loop = PllFll(frequency=rate, settled=True)

    def shift(self, offset_ns: int) -> None:
        """Move what was measured by a leap second."""
        self._base_ns += offset_ns
        self._filter.shift(offset_ns)
        if self._latest is not None:
            self._latest = replace(self._latest, offset_ns=self._latest.offset_ns + offset_ns)

    def restart(self) -> None:
        """Forget the samples but keep the frequency as the expectation for what follows."""
        self._filter.clear()
        self._loop = PllFll(frequency=self._loop.frequency, settled=self._loop.settled)
        self._at = self._latest = None
        self._count = self._outliers = 0

    def estimate(self, at: RawNs) -> Estimate | None:
        """The loop's own clock at an instant; None without samples."""
        if self._at is None:
            return None
        elapsed = seconds(at - self._at)
        worked_off = self._loop.residual * -math.expm1(-max(0.0, elapsed) / self._loop.time_constant)
        offset_ns = self._base_ns + nanoseconds(self._loop.frequency * elapsed + worked_off)
        deviation = math.sqrt(self._variance) + PHI * abs(elapsed)
        return Estimate(offset_ns, self._loop.frequency, deviation, math.sqrt(self._variance))

    def _follow(self, best: Sample, now: RawNs, poll: float) -> None:
        """Move the loop's clock on to now, and hold it against the best sample as if that had come now."""
        assert self._at is not None
        then = self.estimate(best.at)
        assert then is not None
        offset = seconds(best.offset_ns - then.offset_ns)
        elapsed = max(0.0, seconds(now - self._at))
        self._base_ns += nanoseconds(self._loop.frequency * elapsed + self._loop.advance(elapsed))
        self._at = now
        self._loop.update(offset, elapsed, max(poll, 2.0**-6))
        memory = min(self._count, self.JITTER_MEMORY)
        self._variance += (offset * offset - self._variance) / memory

    def _is_outlier(self, sample: Sample) -> bool:
        expected = self.estimate(sample.at)
        assert expected is not None
        limit = max(self._noise.gate, 6 * expected.jitter) + 3 * expected.deviation + sample.delay / 2
        return abs(seconds(sample.offset_ns - expected.offset_ns)) > limit
