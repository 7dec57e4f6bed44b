"""How far the served clock may be off: the one rule is that only a measurement makes it smaller."""

from ntp_usg.core.base.instants import MonoNs, seconds
from ntp_usg.core.base.snapshots import PHI


class ErrorBound:
    """The root dispersion that answers state, and how fast it grows; in seconds, and seconds per second."""

    def __init__(self) -> None:
        self.rate = PHI
        self._value = 0.0
        self._as_of: MonoNs | None = None

    def at(self, now: MonoNs) -> float:
        """The bound, grown since it was last stated; 0 before anything was measured."""
        return 0.0 if self._as_of is None else self._value + self.rate * max(0.0, seconds(now - self._as_of))

    def measure(self, value: float, rate: float, now: MonoNs) -> None:
        """A sample shows the error: what was stated before no longer counts."""
        self._value, self.rate, self._as_of = value, rate, now

    def hold(self, least: float, rate: float, now: MonoNs) -> None:
        """State at least so much, and let it grow at this rate from now on; nothing new was measured."""
        self.measure(max(self.at(now), least), rate, now)
