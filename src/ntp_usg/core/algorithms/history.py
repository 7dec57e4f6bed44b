"""The recent samples of one source, their line, and the gate that keeps outliers off it."""

import math
from collections import deque
from dataclasses import replace
from itertools import pairwise

from ntp_usg.core.algorithms.estimator import Estimate, NoiseModel
from ntp_usg.core.algorithms.line_fit import LineFit, SlopePrior, fit_line
from ntp_usg.core.base.instants import RawNs, nanoseconds, seconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

HELD_RATE_DEVIATION = 1e-6
"""How far a crystal's frequency may wander while a source is away: 1 ppm, some ten kelvin."""


class SampleHistory:
    """A window of samples on the raw timeline, which steering does not move, as long as a line describes them."""

    WINDOW = 64
    ENOUGH = 4
    """From this many samples on, the line may gate the next and steer the clock."""
    RESTART_AFTER = 5
    """So many outliers in a row mean that the source moved, not that it glitched."""

    TESTED = 8
    """Fewer samples than this are too few to tell a bent line from chance."""

    def __init__(self, noise: NoiseModel) -> None:
        self._noise = noise
        self._samples: deque[Sample] = deque(maxlen=self.WINDOW)
        self._prior = SlopePrior()
        self._fit: LineFit | None = None
        self._outliers = 0

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def ready(self) -> bool:
        return len(self._samples) >= self.ENOUGH

    @property
    def latest(self) -> Sample | None:
        return self._samples[-1] if self._samples else None

    def add(self, sample: Sample) -> Reason:
        """Take a sample in, or say that it is an outlier; after RESTART_AFTER of those the history begins again."""
        if self.ready and self._is_outlier(sample):
            self._outliers += 1
            if self._outliers < self.RESTART_AFTER:
                return Reason.OUTLIER
            self.restart()
        self._outliers = 0
        self._samples.append(sample)
        self._fit = self._fit_samples()
        while len(self._samples) > self.TESTED and self._is_bent(self._fit):
            self._samples.popleft()
            self._fit = self._fit_samples()
        return Reason.USED

    def expect(self, rate: float, deviation: float) -> None:
        """Expect this frequency of the first samples."""
        self._prior = SlopePrior(rate, deviation)

    def shift(self, offset_ns: int) -> None:
        """Move what was measured by a leap second."""
        moved = [replace(sample, offset_ns=sample.offset_ns + offset_ns) for sample in self._samples]
        self._samples = deque(moved, maxlen=self.WINDOW)

    def restart(self) -> None:
        """Forget the samples but keep the frequency as the expectation for what follows."""
        if self.ready and self._fit is not None:
            self._prior = SlopePrior(self._fit.rate, HELD_RATE_DEVIATION)
        self._samples.clear()
        self._fit = None
        self._outliers = 0

    def estimate(self, at: RawNs) -> Estimate | None:
        """The line at an instant; None without samples."""
        if self._fit is None:
            return None
        newest = self._samples[-1]
        elapsed = seconds(at - newest.at)
        return Estimate(
            newest.offset_ns + nanoseconds(self._fit.value(elapsed)),
            self._fit.rate,
            self._fit.deviation(elapsed),
            self._fit.jitter,
            self._fit.rate_variance**0.5,
        )

    def _is_outlier(self, sample: Sample) -> bool:
        expected = self.estimate(sample.at)
        assert expected is not None
        limit = max(self._noise.gate, 6 * expected.jitter) + 3 * expected.deviation
        return abs(seconds(sample.offset_ns - expected.offset_ns)) > limit

    def _is_bent(self, fit: LineFit) -> bool:
        """Whether the residuals change sign too seldom for chance (runs test of Wald and Wolfowitz): it wandered.

        Two standard deviations: 1 in 40 straight lines is shortened in vain.
        """
        newest = self._samples[-1]
        signs = [
            seconds(sample.offset_ns - newest.offset_ns) > fit.value(seconds(sample.at - newest.at))
            for sample in self._samples
        ]
        count, above = len(signs), sum(signs)
        runs = 1 + sum(left != right for left, right in pairwise(signs))
        expected = 1 + 2 * above * (count - above) / count
        deviation = math.sqrt(max(0.0, (expected - 1) * (expected - 2) / (count - 1)))
        return runs < expected - 2 * deviation

    def _fit_samples(self) -> LineFit:
        """Fit in seconds relative to the newest sample: floats cannot hold decades in nanoseconds."""
        newest = self._samples[-1]
        times = [seconds(sample.at - newest.at) for sample in self._samples]
        offsets = [seconds(sample.offset_ns - newest.offset_ns) for sample in self._samples]
        return fit_line(times, offsets, self._prior, self._noise.expected, self._noise.floor)
