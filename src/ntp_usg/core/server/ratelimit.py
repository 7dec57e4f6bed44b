"""How often one client may ask: a token bucket, now and then a kiss-o'-death that says so, and a leak.

Anybody can send requests in the name of another client and so use up its tokens. One refused request in four is
therefore answered all the same, so that the true client still gets time (chrony's `leak` does so, too).
"""

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs

KISS_INTERVAL_NS = NS_PER_SECOND
"""A client that does not listen gets silence in between, so that nobody can be hit with kisses in its name."""

_MASK = 2**64 - 1
# Odd constants of splitmix64 (Steele, Lea and Flood 2014); the same are in net/xdp/answer.c.
_MULTIPLIERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9)
_FOLD, _LEAK_SHIFT, _LEAK = 32, 62, 1

_LONGEST_NS = 2**61
"""Over seventy years: with it, sums of times still fit into the 64 bits of an array."""


class RateLimit:
    """A token bucket kept as one integer a client: `due`, the time at which its bucket will be full again.

    Each request moves that time on by one interval; it is refused when more than a burst of them lies ahead
    (the virtual scheduling form of ITU-T I.371, which admits exactly what a counting bucket admits).
    """

    def __init__(self, packets_per_second: float, burst_size: int) -> None:
        if not packets_per_second > 0 or burst_size < 1:
            raise ValueError(f"a rate of {packets_per_second} a second in bursts of {burst_size} would admit nobody")
        self.interval_ns = round(min(NS_PER_SECOND / packets_per_second, _LONGEST_NS / 1024))
        self.tolerance_ns = min(self.interval_ns * (burst_size - 1), _LONGEST_NS)

    def admit(self, due: int, now: MonoNs) -> int | None:
        """The client's `due` after one more request; None if it is refused. A new client, `due` 0, always may."""
        due = max(due, now)
        return None if due - now > self.tolerance_ns else due + self.interval_ns

    def admit_many(
        self, due: NDArray[np.int64], now: MonoNs, earlier: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """The same for many: who is admitted, and what becomes of their `due`.

        `earlier` counts the requests of the same client before it that came at the same time, None = no client asks
        twice: once one is refused, so are all after it.
        """
        due = np.maximum(due, np.array(now))
        if earlier is not None:
            due += earlier * self.interval_ns
        admitted = due <= np.array(now + self.tolerance_ns)
        due += np.array(self.interval_ns)
        return admitted, due


def may_kiss(next_kiss: int, now: MonoNs) -> bool:
    """Whether a refused client may be told so: at most once a second, so its `next_kiss` is then to be moved on."""
    return now >= next_kiss


def leaks(number: int, key: int) -> bool:
    """Whether a client's request of this number is answered although it is refused: a quarter of them, by a secret key.

    Without the key nobody can choose the number of spoofed requests so that those of the true client never leak.
    """
    value = (number + key) * _MULTIPLIERS[0] & _MASK
    return ((value ^ value >> _FOLD) * _MULTIPLIERS[1] & _MASK) >> _LEAK_SHIFT == _LEAK


def leaks_many(numbers: NDArray[np.int64], key: int) -> NDArray[np.bool_]:
    """The same for many."""
    value = (numbers.view(np.uint64) + np.uint64(key)) * np.uint64(_MULTIPLIERS[0])
    value = (value ^ value >> np.uint64(_FOLD)) * np.uint64(_MULTIPLIERS[1])
    leaking: NDArray[np.bool_] = value >> np.uint64(_LEAK_SHIFT) == _LEAK
    return leaking
