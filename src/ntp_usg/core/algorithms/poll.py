"""How long to wait between two questions to a server: as long as the clock can be left alone without losing much."""

from ntp_usg.core.algorithms.estimator import Estimator
from ntp_usg.core.base.instants import RawNs, nanoseconds
from ntp_usg.core.base.verdicts import Reason


class PollControl:
    """Raises the poll exponent while waiting costs little, and lowers it as soon as it costs much.

    The cost is how far the estimate's own deviation grows until the next sample: it holds both the wander and the noise
    that the estimator has learned, so the rule needs no units.
    """

    RAISE = 1.6
    """Growth over twice the interval up to which the interval may be doubled."""
    LOWER = 2.2
    """Growth over the interval from which it is halved. More than what a raise just allowed, or polls would flutter."""
    PATIENCE = 8
    """So many samples in a row must agree to a raise; to lower takes one."""
    SURPRISE = 2
    """Exponents to go down at an outlier: the clock or the network may have changed."""

    def __init__(self, min_poll: int, max_poll: int) -> None:
        self._min_poll = min_poll
        self._max_poll = max_poll
        self._agreed = 0
        self.exponent = min_poll

    def update(self, estimator: Estimator, reason: Reason) -> int:
        """The exponent from here on, after a sample was offered to the estimator, which answered `reason`."""
        if reason is Reason.OUTLIER:
            return self._change(-self.SURPRISE)
        latest = estimator.latest
        if latest is None or not estimator.ready:
            return self._change(self._min_poll - self.exponent)
        interval = 2.0**self.exponent
        if self._growth(estimator, latest.at, interval) > self.LOWER:
            return self._change(-1)
        if self._growth(estimator, latest.at, 2 * interval) > self.RAISE:
            self._agreed = 0
            return self.exponent
        self._agreed += 1
        return self._change(1) if self._agreed >= self.PATIENCE else self.exponent

    def _change(self, step: int) -> int:
        self._agreed = 0
        self.exponent = max(self._min_poll, min(self._max_poll, self.exponent + step))
        return self.exponent

    @staticmethod
    def _growth(estimator: Estimator, at: RawNs, interval: float) -> float:
        now, later = estimator.estimate(at), estimator.estimate(RawNs(at + nanoseconds(interval)))
        assert now is not None
        assert later is not None
        return later.deviation / max(now.deviation, 1e-12)
