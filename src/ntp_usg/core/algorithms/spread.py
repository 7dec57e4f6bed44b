"""How far samples may all be off to one side: no average shows it, only how far they lie apart."""

from collections import deque

from ntp_usg.core.algorithms.line_fit import FREE_SLOPE, fit_line
from ntp_usg.core.base.instants import seconds
from ntp_usg.core.base.samples import Sample

CHANCE = 1e-4
"""How often a few samples that lie close together by chance may be taken for quiet ones."""


def shrinkage(count: int, chance: float) -> float:
    """By this factor or more do `count` samples (3 at least) about a line scatter too little, with that probability."""
    return float(chance ** (-1 / (count - 2)))


class Spread:
    """The range of the latest samples about their line, and what it leaves unsure of an estimate.

    Latencies are late by what they vary, and never early: where samples scatter, their mean is off by up to half of
    their range. `expected` is the scatter in seconds that is no news.
    """

    WINDOW = 64
    ENOUGH = 4

    def __init__(self, expected: float) -> None:
        self._expected = expected
        self._samples: deque[Sample] = deque(maxlen=self.WINDOW)
        self.half_width = 0.0
        """Seconds that the latest estimate may be off by, beyond what is expected."""

    def see(self, sample: Sample, estimated_ns: int, *, first: bool) -> None:
        """Take in a sample, the `first` of an estimate or a later one, and what is estimated for its instant then."""
        samples = self._samples
        # After a long silence the oscillator goes on along another line.
        silent = len(samples) >= self.ENOUGH and sample.at - samples[-1].at > samples[-1].at - samples[0].at
        if first or silent:
            samples.clear()
        samples.append(sample)
        if len(samples) >= self.ENOUGH:
            self.half_width = max(0.0, self._possible(estimated_ns) - self._expected)

    def shift(self, offset_ns: int) -> None:
        """Move what was measured by a leap second."""
        moved = [Sample(each.at, each.offset_ns + offset_ns, each.dispersion) for each in self._samples]
        self._samples = deque(moved, maxlen=self.WINDOW)

    def _possible(self, estimated_ns: int) -> float:
        """Half of the range, widened by what chance may have hidden, and how far the estimate is off its middle."""
        newest = self._samples[-1]
        times = [seconds(each.at - newest.at) for each in self._samples]
        offsets = [seconds(each.offset_ns - newest.offset_ns) for each in self._samples]
        line = fit_line(times, offsets, FREE_SLOPE, self._expected, self._expected)
        residuals = [offset - line.value(time) for time, offset in zip(times, offsets, strict=True)]
        half_range = (max(residuals) - min(residuals)) / 2
        # Their middle may be farther off than half of what the range was likely to be, on either side of the line.
        widened = half_range * (2 * shrinkage(len(times), CHANCE) - 1)
        return widened + abs(line.intercept - seconds(estimated_ns - newest.offset_ns))
