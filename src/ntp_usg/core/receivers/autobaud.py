"""The search for the speed of a receiver's line: no line tells it, so each is tried until one makes sense."""

from collections.abc import Iterable, Sequence

from ntp_usg.core.base.instants import MonoNs, nanoseconds

USUAL_RATES = (9600, 115200, 38400, 4800, 57600, 19200, 230400, 460800, 921600)
"""What receivers are delivered with, or set to, the most frequent first."""


def usual_rates(first: int | None = None) -> Sequence[int]:
    """All usual speeds, beginning with the one that made sense before."""
    return USUAL_RATES if first is None else (first, *(rate for rate in USUAL_RATES if rate != first))


class SpeedSearch:
    """Which speed to listen at, and until when. A speed that made sense is kept while it goes on making some.

    `patience` is how long a speed is tried, once bytes come and before; `timeout` how long one that made sense may make
    none. Both are seconds.
    """

    def __init__(self, rates: Iterable[int], *, patience: float, timeout: float) -> None:
        self.found: int | None = None
        self.noise = False
        """Whether bytes came of which nobody could make sense, since the last that made some."""
        self.deadline = MonoNs(0)
        """When this speed is to be given up."""
        self._untried = iter(rates)
        self._patience = nanoseconds(patience)
        self._timeout = nanoseconds(timeout)
        self._rate: int | None = None
        self._heard = False

    def next_rate(self, now: MonoNs) -> int | None:
        """The speed to listen at from now on; None when there is no other, or when it was found and is lost."""
        self._rate = None if self.found else next(self._untried, None)
        self._heard = False
        self.deadline = MonoNs(now + self._patience)
        return self._rate

    def hear(self, now: MonoNs) -> None:
        """Bytes have come."""
        if not self._heard and not self.found:
            # They may be the rest of a burst: only the next one is whole.
            self.deadline = MonoNs(now + self._patience)
        self._heard = self.noise = True

    def understand(self, now: MonoNs) -> None:
        """They made sense."""
        self.found, self.noise = self._rate, False
        self.deadline = MonoNs(now + self._timeout)
