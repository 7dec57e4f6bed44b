"""A receiver that lost count of the weeks is understood, and only such a one."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.receivers.rollover import (
    DAY_NS,
    EARLIEST_DATE,
    WEEK_NS,
    Rollover,
    build_floor,
    midnight,
    unroll,
)

ERA = timedelta(weeks=1024)
FLOOR = date(2026, 11, 22)
dates = st.dates(date(1980, 1, 6), date(2200, 1, 1))


def unrolled(day: date, floor: date = FLOOR) -> date:
    meant = unroll(midnight(day), midnight(floor))
    return date(1970, 1, 1) + timedelta(days=meant // DAY_NS)


def test_a_date_of_the_last_era_is_taken_for_one_of_this():
    assert unrolled(date(2027, 3, 1) - ERA) == date(2027, 3, 1)


def test_a_date_of_two_eras_ago_is_taken_for_one_of_this():
    assert unrolled(date(2027, 3, 1) - 2 * ERA) == date(2027, 3, 1)


@pytest.mark.parametrize("day", [FLOOR, date(2027, 3, 1), date(2046, 3, 1), date(2183, 11, 14), date(9999, 12, 31)])
def test_a_date_after_the_floor_is_what_it_says(day):
    assert unrolled(day) == day


def test_a_date_less_than_half_an_era_behind_has_another_fault_and_stays_what_it_is():
    floor_day = FLOOR - timedelta(days=1)
    assert unrolled(floor_day - ERA / 2) == floor_day - ERA / 2
    assert unrolled(floor_day - ERA / 2 - timedelta(days=1)) == floor_day + ERA / 2 - timedelta(days=1)


def test_the_day_before_the_floor_is_possible_because_the_floor_may_come_from_a_clock_that_was_ahead():
    assert unrolled(FLOOR - timedelta(days=1) - ERA) == FLOOR - timedelta(days=1)
    assert unrolled(FLOOR - timedelta(days=2) - ERA) == FLOOR - timedelta(days=2) + ERA


@given(dates, dates)
def test_a_date_only_goes_forward_by_whole_eras_and_never_far_beyond_the_floor(day, floor):
    meant = unrolled(day, floor)
    assert meant >= day
    assert (meant - day) % ERA == timedelta()
    assert meant == day or floor - timedelta(days=1) <= meant < floor - timedelta(days=1) + ERA


@given(dates, st.integers(0, 3583))
def test_any_date_within_half_an_era_of_the_floor_survives_the_loss_of_any_number_of_eras(floor, days_ahead):
    day = floor - timedelta(days=1) + timedelta(days=days_ahead)
    for eras in range((day - date(1, 1, 1)) // ERA + 1):
        assert unrolled(day - eras * ERA, floor) == day


def test_what_was_taken_for_what_is_said_once_and_not_anew_every_day():
    rollover = Rollover(lambda: midnight(date(2025, 11, 20)))
    troubles = [rollover.trouble]
    for day in (9, 10):
        rollover.unroll(midnight(date(2006, 4, day)))
        troubles.append(rollover.trouble)
    said = Trouble(Doubt.ROLLOVER, "names 2006-04-09, taken for 2025-11-23")
    assert troubles == [None, said, said]


def test_the_trouble_is_gone_when_the_receiver_names_the_right_date():
    rollover = Rollover()
    rollover.unroll(midnight(date(2010, 1, 1)))
    assert rollover.trouble is not None
    assert rollover.unroll(midnight(EARLIEST_DATE)) == midnight(EARLIEST_DATE)
    assert rollover.trouble is None


def test_what_servers_teach_meanwhile_counts():
    floors = [build_floor()]
    rollover = Rollover(lambda: floors[-1])
    old = midnight(date(2027, 1, 1))
    assert rollover.unroll(old) == old
    floors.append(midnight(date(2046, 1, 1)))
    assert rollover.unroll(old) == old + 1024 * WEEK_NS


def test_a_floor_at_the_end_of_the_calendar_is_survived():
    rollover = Rollover(lambda: midnight(date(9999, 12, 31)))
    rollover.unroll(midnight(date(2010, 1, 1)))
    assert rollover.trouble is not None
    assert rollover.trouble.text.startswith("names 2010-01-01, taken for ")
