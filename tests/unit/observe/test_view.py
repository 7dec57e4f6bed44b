import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.observe.view import QueryMeter, count_queries


def at(second: float) -> MonoNs:
    return MonoNs(round(second * 1e9))


def test_a_packet_handed_up_is_not_counted_twice():
    assert count_queries({"answered/basic": 5, "handed_up/not_for_worker": 2, "answered/monitor": 2}) == 7


def test_the_rate_is_zero_until_two_readings_are_there():
    meter = QueryMeter()
    assert meter.rate() == 0.0
    meter.feed(100, at(1))
    assert meter.rate() == 0.0


def test_the_rate_is_the_growth_over_the_window_and_forgets_what_was_before():
    meter = QueryMeter(readings=3)
    for second, total in enumerate([0, 1000, 1010, 1020]):
        meter.feed(total, at(second))
    assert meter.rate() == pytest.approx(10.0)


def test_a_counter_that_begins_anew_gives_no_negative_rate():
    meter = QueryMeter()
    meter.feed(1000, at(1))
    meter.feed(5, at(2))
    assert meter.rate() == 0.0
    meter.feed(9, at(3))
    assert meter.rate() == pytest.approx(4.0)


def test_two_readings_at_one_instant_are_no_division_by_zero():
    meter = QueryMeter()
    meter.feed(1, at(1))
    meter.feed(2, at(1))
    assert meter.rate() == 0.0


def test_after_long_without_a_reading_the_rate_is_that_since_the_last_one():
    meter = QueryMeter()
    for second, total in ((0, 0), (40, 40_000), (80, 40_000)):
        meter.feed(total, at(second))
    assert meter.rate() == 0.0
