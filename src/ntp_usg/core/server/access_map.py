"""The access lists as one sorted array: where in the address space the answer to "may it ask?" changes, and to what."""

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.access import Access

ADMITTED = 0
UNDECIDED = 255
"""The map is too coarse there: ask `Access`."""
REASONS: tuple[Reason | None, ...] = (None, Reason.BAD_SOURCE, Reason.ACCESS_DENIED, Reason.NOT_ALLOWED)
"""What the other numbers mean."""

_IPV4_BITS, _IPV6_BITS = 32, 128
_HALF = 64


class AccessMap:
    """What `Access` says of requests for the time, for a batch of addresses at once; `Access` itself filled it in."""

    def __init__(self, access: Access) -> None:
        starts = [0, *access.borders(4)]
        self._ipv4_starts = np.array(starts, np.uint64)
        # At n what holds after n starts; before the first there is nothing.
        self._ipv4 = np.array([UNDECIDED, *(_judge(access, start, _IPV4_BITS) for start in starts)], np.uint8)
        # Of IPv6 addresses only the network half is looked at: where a border lies inside one, nothing is decided.
        starts = sorted({0, *(half for border in access.borders(16) for half in _around(border))})
        self._ipv6_starts = np.array(starts, np.uint64)
        split = {border >> _HALF for border in access.borders(16) if border % 2**_HALF}
        self._ipv6 = np.array(
            [UNDECIDED if start in split else _judge(access, start << _HALF, _IPV6_BITS) for start in starts], np.uint8
        )

    def judge(self, high: NDArray[np.uint64] | None, low: NDArray[np.uint64]) -> NDArray[np.uint8]:
        """A number of `REASONS` or UNDECIDED for each address: halves of IPv6 ones, without `high` IPv4 ones."""
        if high is not None:
            codes = self._ipv6[np.searchsorted(self._ipv6_starts, high, side="right") - 1]
            # Within ::/64 there are addresses that mean IPv4 ones.
            return np.where(high == 0, np.uint8(UNDECIDED), codes)
        return self._ipv4[self._ipv4_starts.searchsorted(low, "right")]


def _judge(access: Access, address: int, bits: int) -> int:
    return REASONS.index(access.refusal(address.to_bytes(bits // 8, "big"), monitoring=False))


def _around(border: int) -> tuple[int, ...]:
    """The network half in which a border lies, and where the next begins if the border lies inside."""
    half = border >> _HALF
    return (half, half + 1) if border % 2**_HALF and half + 1 < 2**_HALF else (half,)
