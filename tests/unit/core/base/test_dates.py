"""Which dates can be today's."""

from datetime import date

import pytest

from ntp_usg.core.base.dates import EARLIEST, LATEST, date_of, is_possible, midnight, nearest_possible


@pytest.mark.parametrize("instant", [EARLIEST, LATEST - 1, midnight(date(2036, 2, 8))])
def test_a_date_from_the_release_on_is_possible(instant):
    assert is_possible(instant)
    assert nearest_possible(instant) == instant


@pytest.mark.parametrize("instant", [EARLIEST - 1, LATEST, 0, -1, -(10**40), 10**40, 2**63])
def test_any_other_integer_is_not(instant):
    assert not is_possible(instant)
    assert nearest_possible(instant) in (EARLIEST, LATEST)


@pytest.mark.parametrize(
    ("instant", "day"), [(0, "1970-01-01"), (EARLIEST, "2026-01-01"), (10**40, "9999-12-31"), (-(10**40), "0001-01-01")]
)
def test_the_date_of_any_integer_can_be_written(instant, day):
    assert str(date_of(instant)) == day
