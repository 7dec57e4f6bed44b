"""Dates of receivers that have lost count of the weeks: GPS itself transmits their number modulo 1024.

Firmware completes the ten bits from the time it was made; some 20 years later it names dates 1024 weeks too early
(IS-GPS-200, 20.3.3.3.1.1 and 20.3.3.5.2.4).
"""

from datetime import date

from ntp_usg.core.base.dates import DAY_NS, EARLIEST, date_of, midnight
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import WallNs

WEEK_NS = 7 * DAY_NS
_ERA_NS = 1024 * WEEK_NS
_GPS_BEGAN = midnight(date(1980, 1, 6))


def unroll(named: WallNs) -> WallNs:
    """What a receiver means by an instant: the one nearest to the release of this version, whole eras later.

    One that is still too early, such as that of a receiver whose clock was never set (1980-01-06, 2000-01-01), is
    returned as it was named. A later one is what it says: nothing that was saved or heard elsewhere moves it.
    """
    if named >= EARLIEST or named < _GPS_BEGAN:
        return named
    eras = (EARLIEST - named + _ERA_NS // 2) // _ERA_NS
    meant = WallNs(named + eras * _ERA_NS)
    return meant if meant >= EARLIEST else named


class Rollover:
    """Takes what a receiver names for what it means, and says so."""

    def __init__(self) -> None:
        self.trouble: Trouble | None = None
        """In the words of the first date that was taken for another; they do not change from day to day."""
        self._ahead = 0

    def unroll(self, named: WallNs) -> WallNs:
        """What a receiver with a fix means by an instant; `trouble` is up to date afterwards."""
        meant = unroll(named)
        if meant - named != self._ahead:
            self._ahead = meant - named
            text = f"names {date_of(named)}, taken for {date_of(meant)}"
            self.trouble = Trouble(Doubt.ROLLOVER, text) if self._ahead else None
        return meant
