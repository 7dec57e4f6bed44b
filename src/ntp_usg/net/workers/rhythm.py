"""When a worker looks for requests again: at once while few come, after a short rest while many do.

To be woken costs more than to answer. A rest lets requests gather, so that one waking serves several; the time stamps
do not mind, for the kernel takes the one and the other is taken when the answer leaves.
"""

BUSY_RATE = 5_000.0
"""Requests a second from which on it pays to rest."""
CALM_RATE = BUSY_RATE / 2
"""Below this one every request wakes us again: in between nothing changes, for changing costs something, too."""
LONGEST_REST = 1e-3
"""Seconds: what an answer may wait at most on top of everything else."""
ALL_ROUND = 8
"""After so many looks at the sockets alone, control is listened to again."""
LONGEST_WAIT = 300.0
"""Seconds: a worker that nobody asks anything sleeps; requests wake it, and so does control when it asks for a beat."""
GATHERED = 128
"""Requests that are enough for one waking."""
_SMOOTHING_NS = 2_000_000


class Rhythm:
    """Counts what was served; times are of the monotonic clock."""

    def __init__(self, now: int) -> None:
        self._last = now
        self._rate = 0.0
        self._beats = 0
        self.busy = False
        """Whether so much comes that to be told of it, datagram by datagram, is a waste: the sockets are looked at."""

    @property
    def patience(self) -> float:
        """How long to wait for news at most, in seconds."""
        return 0.0 if self.busy else LONGEST_WAIT

    @property
    def listens(self) -> bool:
        """Whether it is time to ask epoll."""
        return not self.busy or self._beats % ALL_ROUND == 0

    def beat(self, served: int, now: int) -> float:
        """After a look at the sockets that served so many: seconds to rest before the next look."""
        elapsed_ns = max(now - self._last, 1)
        weight = min(elapsed_ns / _SMOOTHING_NS, 1.0)
        self._rate += (served * 1e9 / elapsed_ns - self._rate) * weight
        self._last = now
        self._beats += 1
        self.busy = self._rate >= (CALM_RATE if self.busy else BUSY_RATE)
        if not self.busy or served >= GATHERED:
            return 0.0
        return min(LONGEST_REST, GATHERED / self._rate)
