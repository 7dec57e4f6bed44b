"""Dates of receivers that have lost count of the weeks: GPS itself transmits their number modulo 1024.

Firmware completes the ten bits from the time it was made; some 20 years later it names dates 1024 weeks too early
(IS-GPS-200, 20.3.3.3.1.1 and 20.3.3.5.2.4).
"""

from collections.abc import Callable
from datetime import date

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs

EARLIEST_DATE = date(2026, 1, 1)
"""An earlier date cannot be today's: the GPS week number has rolled over, or the receiver's clock was never set."""

DAY_NS = 86_400 * NS_PER_SECOND
WEEK_NS = 7 * DAY_NS
_ERA_NS = 1024 * WEEK_NS
_UNIX_DAY = date(1970, 1, 1).toordinal()


def build_floor() -> WallNs:
    """When it is at the earliest, as far as this program knows by itself."""
    return midnight(EARLIEST_DATE)


def midnight(day: date) -> WallNs:
    """The beginning of a day, UTC."""
    return WallNs((day.toordinal() - _UNIX_DAY) * DAY_NS)


def day_of(instant: WallNs) -> date:
    """The UTC day of any instant: beyond the calendar its first or its last day."""
    return date.fromordinal(min(max(_UNIX_DAY + instant // DAY_NS, 1), date.max.toordinal()))


def unroll(named: WallNs, floor: WallNs) -> WallNs:
    """What a receiver means by an instant, where it is `floor` at the earliest, or a day before.

    What is half an era behind goes forward by eras of 1024 weeks; what is less far behind is wrong for other reasons.
    """
    behind = floor - DAY_NS - named
    return WallNs(named + -(-behind // _ERA_NS) * _ERA_NS) if behind > _ERA_NS // 2 else named


class Rollover:
    """Takes what a receiver names for what it means, and says so.

    `earliest` tells what time it is at the earliest: servers may teach that while the receiver is being heard.
    """

    def __init__(self, earliest: Callable[[], WallNs] = build_floor) -> None:
        self.trouble: Trouble | None = None
        """In the words of the first date that was taken for another; they do not change from day to day."""
        self._earliest = earliest
        self._ahead = 0

    def unroll(self, named: WallNs) -> WallNs:
        """What a receiver with a fix means by an instant; `trouble` is up to date afterwards."""
        meant = unroll(named, self._earliest())
        if meant - named != self._ahead:
            self._ahead = meant - named
            text = f"names {day_of(named)}, taken for {day_of(meant)}"
            self.trouble = Trouble(Doubt.ROLLOVER, text) if self._ahead else None
        return meant
