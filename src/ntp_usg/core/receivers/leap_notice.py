"""What a receiver's notice of a leap second says of the end of this month."""

from datetime import date, timedelta

from ntp_usg.core.base.dates import date_of
from ntp_usg.core.base.instants import WallNs

_USUAL_MONTHS = (6, 12)


def leap_of_month(now: WallNs, change: int, day: date | None = None) -> int:
    """RFC 5905 figure 9 for the end of the month of `now`, where `change` seconds (-1, 0 or 1) are to come.

    `day` is the UTC day that ends with them, or the one after; satellites tell of them half a year ahead, so a notice
    without a day is taken for June or December.
    """
    today = date_of(now)
    if day is None:
        is_due = today.month in _USUAL_MONTHS and today < date.max
    else:
        last = day - timedelta(days=1) if day.day == 1 else day
        is_due = (last.year, last.month) == (today.year, today.month)
    return change % 3 if is_due else 0  # 1 inserts a second, and -1, as 2, leaves one out
