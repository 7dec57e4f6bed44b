"""How late messages come: what is learned of it, how sure it is, and how soon it is forgotten when it changes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.algorithms.latency import CAPACITY, FEWEST, MOST_PARTS, NEWS, RECENT, LatencyBook, LatencyMeter
from ntp_usg.core.base.samples import MessageLatency

SAVED = MessageLatency(median=0.080, spread=0.002, uncertainty=0.0003, count=5000)


def fed(latencies, saved=None) -> LatencyMeter:
    meter = LatencyMeter(saved)
    for latency in latencies:
        meter.add(latency)
    return meter


def reading(known: LatencyMeter | LatencyBook, *part: str) -> MessageLatency:
    latency = known.read(*part)
    assert latency is not None
    return latency


def normal(count, middle=0.1, sigma=0.004, seed=1):
    source = random.Random(seed)
    return [source.gauss(middle, sigma) for _ in range(count)]


def test_too_few_messages_tell_nothing():
    assert fed(normal(FEWEST - 1)).read() is None
    assert fed(normal(FEWEST)).read() is not None


@pytest.mark.parametrize("count", [60, 1000, 50_000])
def test_median_and_spread_are_those_of_the_messages(count):
    latency = reading(fed(normal(count)))
    assert latency.median == pytest.approx(0.1, abs=0.0015)
    assert latency.spread == pytest.approx(0.004, rel=0.3)
    assert latency.count == count


def test_the_uncertainty_holds_what_it_promises():
    errors = []
    for seed in range(200):
        latency = reading(fed(normal(60, seed=seed)))
        errors.append(abs(latency.median - 0.1) / latency.uncertainty)
    assert sum(error < 1 for error in errors) > 0.6 * len(errors)
    assert max(errors) < 4


def test_the_bound_covers_nearly_all_messages():
    latency = reading(fed(normal(1000)))
    assert sum(abs(each - latency.median) <= latency.bound for each in normal(1000, seed=2)) > 990


def test_strays_do_not_count():
    strays = [0.9 if number % 25 == 0 else each for number, each in enumerate(normal(200))]
    latency = reading(fed(strays))
    assert latency.median == pytest.approx(0.1, abs=0.002)
    assert latency.spread < 0.006


def test_of_two_typical_values_the_spread_covers_both():
    latency = reading(fed([0.080, 0.080, 0.090, 0.080, 0.090] * 20))
    assert abs(0.090 - latency.median) < latency.bound


def test_a_slow_wander_makes_the_median_less_sure():
    steady, wandering = fed(normal(100, sigma=0.001)), fed(0.1 + number * 1e-4 for number in range(100))
    assert reading(wandering).uncertainty > 5 * reading(steady).uncertainty


def test_a_lasting_change_is_learned_within_some_messages():
    latency = reading(fed(normal(3000) + normal(NEWS, middle=0.3)))
    assert latency.median == pytest.approx(0.3, abs=0.005)
    assert latency.count == NEWS


def test_what_was_saved_is_known_at_once_but_not_measured():
    meter = LatencyMeter(SAVED)
    latency = reading(meter)
    assert latency.median == pytest.approx(SAVED.median)
    assert latency.spread == pytest.approx(SAVED.spread, rel=0.2)
    assert latency.count == SAVED.count
    assert meter.measured == 0


def test_what_was_saved_is_outvoted_by_more_messages_than_it_stands_for():
    few, many = fed(normal(4, 0.083, 0.001), SAVED), fed(normal(60, 0.083, 0.001), SAVED)
    assert reading(few).median == pytest.approx(0.0805, abs=0.0008)
    assert reading(many).median == pytest.approx(0.083, abs=0.0006)


def test_what_was_saved_is_forgotten_where_messages_contradict_it():
    latency = reading(fed(normal(RECENT, 0.2, 0.001), SAVED))
    assert latency.median == pytest.approx(0.2, abs=0.001)
    assert latency.count == RECENT


def test_a_book_keeps_parts_apart_and_tells_those_that_were_measured():
    book = LatencyBook({"RMC": SAVED})
    for _ in range(FEWEST):
        book.learn({"ZDA": 0.5, "GGA": 0.15})
    assert list(book.measured()) == ["GGA", "ZDA"]
    assert reading(book, "RMC").median == pytest.approx(0.08)
    assert not book.is_measured("RMC")
    assert book.read("GLL") is None


def test_parts_without_end_are_not_all_kept():
    book = LatencyBook()
    for _ in range(FEWEST):
        book.learn({f"P{number}": 0.1 for number in range(MOST_PARTS + 9)})
    assert len(book.measured()) == MOST_PARTS


@given(st.lists(st.floats(-10, 10), min_size=FEWEST, max_size=3 * CAPACITY))
def test_whatever_was_measured_there_is_a_latency_among_it(latencies):
    latency = reading(fed(latencies))
    assert min(latencies) <= latency.median <= max(latencies)
    assert 0 <= latency.spread <= 30
    assert 0 <= latency.uncertainty <= 60
