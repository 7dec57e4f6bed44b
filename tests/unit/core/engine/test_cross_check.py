"""What the servers and the clock itself have against a source."""

import math

import pytest

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.intersection import Interval
from ntp_usg.core.algorithms.selection import Candidate
from ntp_usg.core.algorithms.witness import Departure
from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import MonoNs, RawNs
from ntp_usg.core.engine.cross_check import FADING, LASTING, Belief, CrossCheck, majority_of

CLOCK = Belief(bound=10e-6, rate=20e-6, rate_bound=0.01e-6)
SERVERS = Interval(-1e-3, 1e-3)


def at(second: float) -> MonoNs:
    return MonoNs(round(second * 10**9))


def source(offset: float, distance: float = 1e-6, **options) -> Candidate:
    return Candidate(name="s", offset=offset, distance=distance, deviation=1e-9, jitter=1e-9, **options)


def rate(value: float = 20e-6) -> Estimate:
    return Estimate(0, value, 1e-9, 1e-9, 1e-9)


def doubts(
    check: CrossCheck, candidate: Candidate, second: float, clock=CLOCK, majority=None, estimate=None
) -> list[Doubt]:
    return [each.doubt for each in check.hold_against(candidate, estimate or rate(), majority, clock, at(second))]


def test_two_servers_of_three_are_a_majority_one_alone_is_none():
    assert majority_of([source(0, 1e-3), source(1e-4, 1e-3), source(5, 1e-3)]) is not None
    assert majority_of([source(0, 1e-3)]) is None
    assert majority_of([source(0, 1e-3), source(5, 1e-3)]) is None
    assert majority_of([source(0, 1e-3), source(math.nan, math.inf), source(0, 1e-3, reachable=False)]) is None


def test_to_contradict_the_servers_for_long_is_a_doubt_until_it_ends():
    check = CrossCheck()
    assert doubts(check, source(0.5), 0, majority=SERVERS) == []
    assert doubts(check, source(0.5), LASTING, majority=SERVERS) == [Doubt.DISAGREEMENT]
    assert doubts(check, source(0.0), LASTING + 1, majority=SERVERS) == []


def test_a_source_that_the_user_trusts_is_not_held_against_the_servers():
    check = CrossCheck()
    doubts(check, source(0.5, trust=True), 0, majority=SERVERS)
    assert doubts(check, source(0.5, trust=True), 100, majority=SERVERS) == []


@pytest.mark.parametrize(
    ("offset", "clock", "stands"),
    [(1.0, CLOCK, True), (5e-6, CLOCK, False), (1.0, Belief(math.inf, 0, 0), False)],
)
def test_a_jump_is_a_doubt_for_as_long_as_the_clock_knows_better(offset, clock, stands):
    check = CrossCheck()
    check.depart(Departure(Doubt.TIME_JUMP, 1.0, RawNs(0)))
    assert doubts(check, source(offset), 0, clock) == ([Doubt.TIME_JUMP] if stands else [])


def test_a_ramp_is_a_doubt_until_its_frequency_is_the_clocks():
    check = CrossCheck()
    check.depart(Departure(Doubt.FREQUENCY_JUMP, 1e-6, RawNs(0)))
    assert check.contested
    assert doubts(check, source(0), 0, estimate=rate(21e-6)) == [Doubt.FREQUENCY_JUMP]
    assert doubts(check, source(0), 1, estimate=rate(20.1e-6)) == []
    assert not check.contested


def test_what_was_never_explained_stays_in_the_bound_for_a_day():
    check = CrossCheck()
    check.depart(Departure(Doubt.TIME_JUMP, 20e-6, RawNs(0)))
    doubts(check, source(20e-6), 100, Belief(30e-6, 0, 0))
    assert check.unexplained(at(100)) == 20e-6
    assert check.unexplained(at(100 + FADING / 2)) == pytest.approx(10e-6)
    assert check.unexplained(at(100 + FADING)) == 0


def test_a_departure_is_news_once():
    check = CrossCheck()
    departure = Departure(Doubt.TIME_JUMP, 1.0, RawNs(0))
    check.depart(departure)
    assert (check.departed(), check.departed()) == (departure, None)
