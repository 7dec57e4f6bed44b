"""Which dates can be today's: not before this version was made, and not so late that nobody can still run it."""

from datetime import date

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs

EARLIEST_DATE = date(2026, 1, 1)
"""This version was made later: to be set again for each release."""
LATEST_DATE = date(2076, 1, 1)
"""Half a century later, and within the 68 years in which the 32 bits of an NTP timestamp have one meaning only."""

DAY_NS = 86_400 * NS_PER_SECOND
_UNIX_DAY = date(1970, 1, 1).toordinal()


def midnight(day: date) -> WallNs:
    """The beginning of a day, UTC."""
    return WallNs((day.toordinal() - _UNIX_DAY) * DAY_NS)


EARLIEST, LATEST = midnight(EARLIEST_DATE), midnight(LATEST_DATE)


def is_possible(instant: int) -> bool:
    """Whether an instant can be now; any integer of nanoseconds will do."""
    return EARLIEST <= instant < LATEST


def nearest_possible(instant: int) -> WallNs:
    """The possible instant that lies nearest: what to tell eras by, where a clock may be off by any number of years."""
    return WallNs(min(max(instant, EARLIEST), LATEST))


def date_of(instant: int) -> date:
    """The UTC day of any integer of nanoseconds: beyond the calendar its first or its last day."""
    return date.fromordinal(min(max(_UNIX_DAY + instant // DAY_NS, 1), date.max.toordinal()))
