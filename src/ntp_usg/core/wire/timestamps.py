"""The two NTP time formats (RFC 5905 section 6) as integers on the wire and as our own units inside."""

from math import ceil

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs

_UNIX_EPOCH = 2_208_988_800 << 32
"""1970-01-01 in 2**-32 seconds since the prime epoch, 1900-01-01 (RFC 5905 figure 4)."""

_MASK = (1 << 64) - 1
_SHORT_MAX = (1 << 32) - 1


def to_ntp(instant: WallNs) -> int:
    """The 64-bit timestamp of an instant; like the format itself it wraps at the end of an era (2036, 2172 ...)."""
    return _since_1900(instant) & _MASK


def from_ntp(timestamp: int, pivot: WallNs) -> WallNs:
    """The instant that a 64-bit timestamp means, in the era that puts it nearest to `pivot` (at most 68 years away).

    Exact to the nanosecond: gives back whatever went through `to_ntp`.
    """
    base = _since_1900(pivot)
    distance = ((timestamp - base + (1 << 63)) & _MASK) - (1 << 63)
    return WallNs(((base + distance - _UNIX_EPOCH) * NS_PER_SECOND + (1 << 31)) >> 32)


def to_short(seconds: float) -> int:
    """Seconds as 16.16 fixed point, rounded up and saturating: an error bound may grow on its way, but never vanish."""
    if 0.0 <= seconds <= _SHORT_MAX / 65536.0:
        return ceil(seconds * 65536.0)
    return 0 if seconds < 0.0 else _SHORT_MAX  # NaN too: what is not known to be small is as large as can be said


def from_short(value: int) -> float:
    """16.16 fixed point as seconds."""
    return value / 65536.0


def _since_1900(instant: WallNs) -> int:
    return (instant << 32) // NS_PER_SECOND + _UNIX_EPOCH
