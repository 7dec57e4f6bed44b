"""The access lists as one sorted array: where in the address space the answer to "may it ask?" changes, and to what."""

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.access import Access, NetworkSet

ADMITTED = 0
UNDECIDED = 255
"""The map is too coarse there: ask `Access`."""
REASONS: tuple[Reason | None, ...] = (None, Reason.BAD_SOURCE, Reason.ACCESS_DENIED, Reason.NOT_ALLOWED)
"""What the other numbers mean."""

_IPV4_BITS = 32
_HALF = 64


class AccessMap:
    """What `Access` says of requests for the time, for a batch of addresses at once."""

    def __init__(self, access: Access) -> None:
        self._ipv4_starts = np.array([0, *access.borders(4)], np.uint64)
        # At n what holds after n starts; before the first there is nothing.
        self._ipv4 = np.concatenate([[np.uint8(UNDECIDED)], _judge(access, 4, self._ipv4_starts, _IPV4_BITS)])
        # Of IPv6 addresses only the network half is looked at: where a border lies inside one, nothing is decided.
        borders = access.borders(16)
        starts = sorted({0, *(half for border in borders for half in _around(border))})
        self._ipv6_starts = np.array(starts, np.uint64)
        split = {border >> _HALF for border in borders if border % 2**_HALF}
        self._ipv6 = _judge(access, 16, self._ipv6_starts, _HALF)
        self._ipv6[[start in split for start in starts]] = UNDECIDED

    def judge(self, high: NDArray[np.uint64] | None, low: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """A number of `REASONS` or UNDECIDED for each address: halves of IPv6 ones, without `high` IPv4 ones."""
        if high is not None:
            codes = self._ipv6[np.searchsorted(self._ipv6_starts, high, side="right") - 1]
            # Within ::/64 there are addresses that mean IPv4 ones.
            return np.where(high == 0, np.uint8(UNDECIDED), codes)
        return self._ipv4[self._ipv4_starts.searchsorted(low, "right")]


def _judge(access: Access, size: int, starts: NDArray[np.uint64], bits: int) -> NDArray[np.uint8]:
    """The verdicts at some addresses of `size` bytes, given by their first `bits`: tens of thousands at a time."""
    allowed = access.allowed
    codes = np.full(len(starts), ADMITTED, np.uint8)
    if allowed is not None:
        codes[~_covered(allowed, size, starts, bits)] = REASONS.index(Reason.NOT_ALLOWED)
    for reason, networks in reversed(access.refusals()):
        codes[_covered(networks, size, starts, bits)] = REASONS.index(reason)
    return codes


def _covered(networks: NetworkSet, size: int, starts: NDArray[np.uint64], bits: int) -> NDArray[np.bool_]:
    """Which addresses fall under one of some networks; those that are smaller than a start's `bits` say nothing."""
    covered = np.zeros(len(starts), np.bool_)
    for shift, numbers in networks.prefixes(size):
        further = shift - (size * 8 - bits)
        if further >= _HALF:
            covered[:] = True
        elif further >= 0:
            covered |= np.isin(starts >> np.uint64(further), np.fromiter(numbers, np.uint64, len(numbers)))
    return covered


def _around(border: int) -> tuple[int, ...]:
    """The network half in which a border lies, and where the next begins if the border lies inside."""
    half = border >> _HALF
    return (half, half + 1) if border % 2**_HALF and half + 1 < 2**_HALF else (half,)
