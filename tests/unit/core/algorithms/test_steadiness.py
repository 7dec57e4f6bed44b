"""What is assumed of a frequency: the RFC's 15 ppm until it has been seen to be steady for a week."""

import pytest

from ntp_usg.core.algorithms.steadiness import Steadiness
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.snapshots import PHI

HOUR = 3600
WEEK = 7 * 24 * HOUR
POLL = 600


def watched(rate, until: int, *, start: int = 0, steadiness: Steadiness | None = None):
    steadiness = steadiness or Steadiness()
    for second in range(start, until + 1, POLL):
        steadiness.watch(RawNs(second * 10**9), rate(second))
    return steadiness


def test_until_a_week_has_passed_it_is_the_frequency_tolerance_of_the_rfc():
    assert watched(lambda _: 20e-6, WEEK - POLL).tolerance == PHI


def test_a_clock_that_did_not_change_for_a_week_is_taken_to_keep_within_the_least():
    assert watched(lambda _: 20e-6, WEEK).tolerance == 1e-6


def test_ten_times_the_largest_change_within_an_hour_may_come():
    restless = watched(lambda second: 20e-6 + 0.3e-6 * (second >= WEEK // 2), WEEK)
    assert restless.tolerance == pytest.approx(3e-6)


def test_it_is_never_more_than_the_rfc_says():
    assert watched(lambda second: 5e-6 * (second % 1800 == 0), 2 * WEEK).tolerance == PHI


def test_a_change_beyond_what_was_thought_possible_takes_another_week():
    steadiness = watched(lambda _: 20e-6, WEEK)
    later = watched(lambda _: 22e-6, 2 * WEEK - POLL, start=WEEK + POLL, steadiness=steadiness)
    assert later.tolerance == PHI
    assert watched(lambda _: 22e-6, 2 * WEEK + 2 * HOUR, start=2 * WEEK, steadiness=later).tolerance < PHI


def test_hours_in_which_nobody_watched_take_another_week():
    steadiness = watched(lambda _: 20e-6, WEEK)
    assert watched(lambda _: 20e-6, WEEK + 3 * HOUR, start=WEEK + 2 * HOUR, steadiness=steadiness).tolerance == PHI
