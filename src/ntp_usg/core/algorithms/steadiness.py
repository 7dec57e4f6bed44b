"""How far an oscillator's frequency may change before the next sample, by how much it has changed so far."""

from collections import deque

from ntp_usg.core.base.instants import RawNs, nanoseconds
from ntp_usg.core.base.snapshots import PHI

HOURS = 7 * 24
"""So many in a row must have been watched before less than PHI is assumed: a week has all that a machine does."""
HOUR_NS = nanoseconds(3600.0)
LEAST = 1e-6
"""What is assumed of a clock that did not change at all, in seconds per second."""
MARGIN = 10.0
"""What may come is taken to be as many times the largest change that was seen within an hour."""


class Steadiness:
    """Watches the frequency hour by hour; one that changes by more than was thought possible proves itself again."""

    def __init__(self) -> None:
        self._changes: deque[float] = deque(maxlen=HOURS)
        self._began: RawNs | None = None
        self._latest = RawNs(0)
        self._low = self._high = 0.0

    @property
    def tolerance(self) -> float:
        """How fast the clock may leave the truth between two samples, in seconds per second; PHI at most."""
        if len(self._changes) < HOURS:
            return PHI
        return min(PHI, max(LEAST, MARGIN * max(*self._changes, self._high - self._low)))

    def surprise(self) -> None:
        """Something has happened that was not expected, or nobody has watched: a whole week has to pass again."""
        self._changes.clear()
        self._began = None

    def watch(self, at: RawNs, rate: float) -> None:
        """Take in a frequency that was just measured, in seconds per second."""
        possible = self.tolerance
        if self._began is None or at - self._latest > HOUR_NS:
            self.surprise()
            self._began, self._low, self._high = at, rate, rate
        self._latest, self._low, self._high = at, min(self._low, rate), max(self._high, rate)
        if self._high - self._low > possible:
            self.surprise()
        elif at - self._began >= HOUR_NS:
            self._changes.append(self._high - self._low)
            self._began, self._low, self._high = at, rate, rate
