"""For which month a notice of a leap second counts."""

from datetime import UTC, date, datetime

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.receivers.leap_notice import leap_of_month


def at(text):
    return WallNs(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)


@pytest.mark.parametrize(
    ("now", "change", "leap"),
    [
        ("2026-06-01T00:00:00", 1, 1),
        ("2026-12-31T23:59:59", -1, 2),
        ("2026-05-31T23:59:59", 1, 0),
        ("2026-07-01T00:00:00", 1, 0),
        ("2026-06-30T00:00:00", 0, 0),
    ],
)
def test_a_notice_without_a_day_counts_in_june_and_december(now, change, leap):
    assert leap_of_month(at(now), change) == leap


@pytest.mark.parametrize("day", [date(2027, 3, 31), date(2027, 4, 1)])
def test_a_notice_with_a_day_counts_in_the_month_that_it_ends(day):
    assert leap_of_month(at("2027-02-28T23:59:59"), 1, day) == 0
    assert leap_of_month(at("2027-03-01T00:00:00"), 1, day) == 1
    assert leap_of_month(at("2027-03-31T23:59:59"), -1, day) == 2
    assert leap_of_month(at("2027-04-01T00:00:00"), 1, day) == 0


def test_beyond_the_calendar_nothing_is_announced():
    assert leap_of_month(WallNs(10**21), 1) == 0
