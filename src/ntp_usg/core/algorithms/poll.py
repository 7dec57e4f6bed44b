"""How long to wait between two questions to a server: as long as the clock can be left alone without losing much."""

import math

from ntp_usg.core.algorithms.estimator import CHANGED_EVERY, SUDDEN_CHANGE, Estimate, Estimator
from ntp_usg.core.base.instants import RawNs, nanoseconds, seconds
from ntp_usg.core.base.verdicts import Reason


class PollControl:
    """Raises the poll exponent while waiting costs little, and lowers it as soon as it costs much.

    One cost is how far the estimate's own deviation grows until the next sample: it holds both the wander and the noise
    that the estimator has learned. The other is what a sudden change of the frequency would do meanwhile, which nobody
    sees before: what that adds to the mean square error may be as much as the estimate's own.
    """

    RAISE = 1.6
    """Growth over twice the interval up to which the interval may be doubled."""
    LOWER = 2.2
    """Growth over the interval from which it is halved. More than what a raise just allowed, or polls would flutter."""
    ENOUGH = 4
    """With fewer samples nobody knows how the estimate's deviation grows."""
    PATIENCE = 8
    """So many samples in a row must agree to a raise; to lower takes one."""
    SURPRISE = 3.0
    """Deviations by which the estimate may move at a sample; more, or an outlier, and the clock may have changed ..."""
    RETREAT = 2
    """... so that the exponent goes down by this."""

    def __init__(self, min_poll: int, max_poll: int) -> None:
        self._min_poll = min_poll
        self._max_poll = max_poll
        self._agreed = 0
        self._expected: tuple[RawNs, Estimate] | None = None
        self.exponent = min_poll
        self.surprised = self.ageing = False
        """What the latest sample was: a surprise; one whose estimate ages fast however soon the next comes."""

    def update(self, estimator: Estimator, reason: Reason) -> int:
        """The exponent from here on, after a sample was offered to the estimator, which answered `reason`."""
        latest = estimator.latest
        if latest is None or not estimator.ready or len(estimator) < self.ENOUGH:
            self._expected = None
            self.surprised = self.ageing = False
            return self._change(self._min_poll - self.exponent)
        self.surprised = reason is Reason.OUTLIER or self._surprised(estimator)
        interval = 2.0**self.exponent
        now, next_at = self._estimate(estimator, latest.at), RawNs(latest.at + nanoseconds(interval))
        later = self._estimate(estimator, next_at)
        much_later = self._estimate(estimator, RawNs(next_at + nanoseconds(interval)))
        self._expected = next_at, later
        ageing = later.deviation > self.LOWER * now.deviation
        self.ageing = ageing and self.exponent == self._min_poll
        if self.surprised:
            return self._change(-self.RETREAT)
        if ageing or self._risk(interval) > 2 * now.deviation:
            return self._change(-1)
        if much_later.deviation > self.RAISE * now.deviation or self._risk(2 * interval) > now.deviation:
            self._agreed = 0
            return self.exponent
        self._agreed += 1
        return self._change(1) if self._agreed >= self.PATIENCE else self.exponent

    def _surprised(self, estimator: Estimator) -> bool:
        """Whether the sample moved the estimate by more than the estimate had said it may be off."""
        if self._expected is None:
            return False
        at, expected = self._expected
        moved_ns = self._estimate(estimator, at).offset_ns - expected.offset_ns
        return abs(seconds(moved_ns)) > self.SURPRISE * expected.deviation

    def _risk(self, interval: float) -> float:
        """Root mean square error in seconds that sudden changes of the frequency add, with such an interval."""
        return SUDDEN_CHANGE * interval * math.sqrt(interval / (3 * CHANGED_EVERY))

    def _change(self, step: int) -> int:
        self._agreed = 0
        self.exponent = max(self._min_poll, min(self._max_poll, self.exponent + step))
        return self.exponent

    @staticmethod
    def _estimate(estimator: Estimator, at: RawNs) -> Estimate:
        estimate = estimator.estimate(at)
        assert estimate is not None, "an estimator with samples has an estimate"
        return estimate
