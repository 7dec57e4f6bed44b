"""When a worker looks for requests again: at once while few come, after a short rest while many do.

To be woken costs more than to answer. A rest lets requests gather, so that one waking serves several; the time stamps
do not mind, for the kernel takes the one and the other is taken when the answer leaves.
"""

BUSY_RATE = 5_000.0
"""Requests a second from which on it pays to rest; below, every request wakes us."""
LONGEST_REST = 1e-3
"""Seconds: what an answer may wait at most on top of everything else."""
ALL_ROUND = 8
"""After so many looks at the sockets alone, control is listened to again."""
GATHERED = 64
"""Requests that are enough for one waking."""
_SMOOTHING_NS = 2_000_000


class Rhythm:
    """Counts what was served; times are of the monotonic clock."""

    def __init__(self, now: int) -> None:
        self._last = now
        self._rate = 0.0
        self._beats = 0

    @property
    def patience(self) -> float:
        """How long to wait for requests in seconds, as epoll takes it: -1 = until some come."""
        return 0.0 if self._rate >= BUSY_RATE else -1

    @property
    def busy(self) -> bool:
        """Whether there is so much to do that asking which socket has something is a waste; not always the answer."""
        return self._rate >= BUSY_RATE and self._beats % ALL_ROUND != 0

    def beat(self, served: int, now: int) -> float:
        """After a look at the sockets that served so many: seconds to rest before the next look."""
        elapsed_ns = max(now - self._last, 1)
        weight = min(elapsed_ns / _SMOOTHING_NS, 1.0)
        self._rate += (served * 1e9 / elapsed_ns - self._rate) * weight
        self._last = now
        self._beats += 1
        if self._rate < BUSY_RATE or served >= GATHERED:
            return 0.0
        return min(LONGEST_REST, GATHERED / self._rate)
