"""A receiver that lost count of the weeks is understood, and only such a one."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.dates import DAY_NS, EARLIEST_DATE, midnight
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.receivers.rollover import Rollover, unroll

ERA = timedelta(weeks=1024)
HALF_ERA_DAYS = 3584


def unrolled(day: date) -> date:
    return date(1970, 1, 1) + timedelta(days=unroll(midnight(day)) // DAY_NS)


@pytest.mark.parametrize("eras", [1, 2])
def test_a_date_of_an_earlier_era_is_taken_for_one_of_this(eras):
    assert unrolled(date(2027, 3, 1) - eras * ERA) == date(2027, 3, 1)


@pytest.mark.parametrize("day", [EARLIEST_DATE, date(2027, 3, 1), date(2046, 3, 1), date(9999, 12, 31)])
def test_a_date_after_the_release_is_what_it_says(day):
    assert unrolled(day) == day


@pytest.mark.fault(
    group="Receivers",
    kind="A receiver whose clock was never set names its first day (1980-01-06, 2000-01-01) and calls it valid.",
    noticed="The date is refused as implausible: no number of 1024-week periods brings it near the release date.",
    served="No time from this receiver until it names a date that can be true.",
)
@pytest.mark.parametrize(
    "day",
    [
        date(1970, 1, 1),
        date(1980, 1, 6),
        date(1980, 1, 12),
        date(1999, 8, 22),
        date(2000, 1, 1),
        date(2019, 4, 7),
        EARLIEST_DATE - timedelta(days=1),
    ],
)
def test_the_first_day_of_a_clock_that_was_never_set_is_not_taken_for_another(day):
    assert unrolled(day) == day


@given(st.dates(date(1, 1, 1), date(9999, 12, 31)))
def test_a_date_only_goes_forward_by_whole_eras_and_never_far_beyond_the_release(day):
    meant = unrolled(day)
    assert (meant - day) % ERA == timedelta()
    assert meant == day or EARLIEST_DATE <= meant <= EARLIEST_DATE + ERA / 2


@given(st.integers(0, HALF_ERA_DAYS - 1))
def test_any_date_within_half_an_era_of_the_release_survives_the_loss_of_any_number_of_eras(days_ahead):
    day = EARLIEST_DATE + timedelta(days=days_ahead)
    for eras in range((day - date(1980, 1, 6)) // ERA + 1):
        assert unrolled(day - eras * ERA) == day


def test_what_was_taken_for_what_is_said_once_and_not_again_every_day():
    rollover = Rollover()
    troubles = [rollover.trouble]
    for day in (9, 10):
        rollover.unroll(midnight(date(2007, 4, day)))
        troubles.append(rollover.trouble)
    said = Trouble(Doubt.ROLLOVER, "names 2007-04-09, taken for 2026-11-23")
    assert troubles == [None, said, said]


def test_the_trouble_is_gone_when_the_receiver_names_the_right_date():
    rollover = Rollover()
    rollover.unroll(midnight(date(2010, 1, 1)))
    assert rollover.trouble is not None
    assert rollover.unroll(midnight(EARLIEST_DATE)) == midnight(EARLIEST_DATE)
    assert rollover.trouble is None
