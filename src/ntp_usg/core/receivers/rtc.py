"""What a real-time clock says (linux/rtc.h): whole seconds only, of which the change is what tells the time."""

import struct
from dataclasses import dataclass
from datetime import datetime

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, seconds
from ntp_usg.core.base.samples import Measurement

TIME = struct.Struct("=9i")  # struct rtc_time: as struct tm
_UPDATE = 0x10  # RTC_UF
_COUNT_SHIFT = 8
_YEARS = 70, 299  # since 1900: those of all chips, and within what every C library can convert
_WIDEST_NS = NS_PER_SECOND // 10
"""Who looked away for longer has not seen the second change."""


@dataclass(frozen=True, slots=True)
class RtcInterrupt:
    """What a read of the device gives: whether a second has begun, and how many interrupts there were since."""

    update: bool
    count: int


def parse_interrupt(data: bytes) -> RtcInterrupt:
    """Read the `unsigned long` of a read; raises WireError for any other length."""
    if len(data) not in (4, 8):
        raise WireError(f"an interrupt has 4 or 8 bytes, not {len(data)}")
    word = struct.unpack("=I" if len(data) == 4 else "=Q", data)[0]
    return RtcInterrupt(bool(word & _UPDATE), word >> _COUNT_SHIFT)


def parse_rtc_time(data: bytes) -> datetime:
    """Read a `struct rtc_time`, of whatever time zone; raises WireError for what no clock shows."""
    if len(data) != TIME.size:
        raise WireError(f"a time has {TIME.size} bytes, not {len(data)}")
    second, minute, hour, day, month, year, *_ = TIME.unpack(data)
    if not _YEARS[0] <= year <= _YEARS[1]:
        raise WireError(f"a real-time clock in the year {year + 1900}")
    try:
        return datetime(year + 1900, month + 1, day, hour, minute, second)  # noqa: DTZ001 - who set it knows the zone
    except (ValueError, OverflowError) as error:
        raise WireError(f"a real-time clock with an impossible date: {error}") from error


class SecondHand:
    """Watches a clock of whole seconds, read again and again, for the moment at which one begins."""

    def __init__(self) -> None:
        self._last: tuple[HostNs, WallNs] | None = None
        self.rests = False
        """Whether a second has just begun, so that there is nothing to see for nearly as long."""

    def look(self, before: HostNs, second: WallNs, after: HostNs) -> Measurement | None:
        """What was read between two readings of the host's clock; a measurement where a second has begun since."""
        last, self._last = self._last, (before, second)
        self.rests = last is not None and second != last[1]
        if last is None or second != last[1] + NS_PER_SECOND or not 0 <= after - last[0] <= _WIDEST_NS:
            return None
        at = HostNs((last[0] + after) // 2)
        return Measurement(at, second - at, seconds(after - last[0]) / 2)
