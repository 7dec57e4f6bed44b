"""When the poll interval may grow, and what makes it shrink."""

import random
from dataclasses import dataclass

import pytest

from ntp_usg.core.algorithms.estimator import Estimate, NoiseModel
from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.algorithms.poll import PollControl
from ntp_usg.core.base.instants import RawNs, seconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

NETWORK_NOISE = NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4)


@dataclass
class Growing:
    """An estimator whose deviation, by default a large one, doubles in so many seconds."""

    doubling: float
    ready: bool = True
    latest: Sample | None = Sample(RawNs(0), 0, 1e-6)
    offset_ns: int = 0
    deviation: float = 1e-3

    def __len__(self) -> int:
        return 10

    def add(self, sample: Sample) -> Reason:
        return Reason.USED

    def expect(self, rate: float, deviation: float) -> None:
        pass

    def shift(self, offset_ns: int) -> None:
        pass

    def restart(self) -> None:
        self.ready = False

    def estimate(self, at: RawNs) -> Estimate:
        return Estimate(self.offset_ns, 0.0, self.deviation * (1 + seconds(at) / self.doubling), 1e-6)


def settled(estimator: Growing, control: PollControl) -> int:
    return [control.update(estimator, Reason.USED) for _ in range(200)][-1]


@pytest.mark.parametrize("doubling", [300.0, 1500.0, 6000.0])
def test_the_poll_settles_where_waiting_twice_as_long_costs_too_much(doubling):
    control = PollControl(4, 14)
    exponent = settled(Growing(doubling), control)
    assert 2 ** (exponent) <= 0.6 * doubling < 2 ** (exponent + 1)


@pytest.mark.parametrize(("deviation", "exponent"), [(3e-6, 6), (10e-6, 7), (100e-6, 9), (800e-6, 10)])
def test_the_better_the_time_the_sooner_a_sudden_change_of_frequency_must_be_seen(deviation, exponent):
    assert settled(Growing(1e9, deviation=deviation), PollControl(6, 10)) == exponent


def test_a_source_that_turns_out_quiet_is_asked_more_often():
    control = PollControl(6, 10)
    settled(Growing(1e9), control)
    assert settled(Growing(1e9, deviation=3e-6), control) == 6


def test_the_poll_stays_within_its_limits():
    assert settled(Growing(1e9), PollControl(6, 10)) == 10
    assert settled(Growing(1.0), PollControl(6, 10)) == 6


def test_a_clock_that_begins_to_wander_is_asked_more_often_at_once():
    control = PollControl(6, 10)
    settled(Growing(1e9), control)
    assert control.update(Growing(10.0), Reason.USED) == 9
    assert control.update(Growing(10.0), Reason.USED) == 8


def test_an_outlier_lowers_the_poll_and_a_restart_lowers_it_to_the_least():
    control = PollControl(6, 10)
    settled(Growing(1e9), control)
    assert control.update(Growing(1e9), Reason.OUTLIER) == 8
    assert control.update(Growing(1e9, ready=False), Reason.USED) == 6


def test_one_sample_does_not_raise_the_poll():
    control = PollControl(6, 10)
    assert control.update(Growing(1e9), Reason.USED) == 6


def test_a_sample_that_moves_the_estimate_beyond_its_deviation_lowers_the_poll_once():
    control = PollControl(6, 10)
    settled(Growing(1e9), control)
    moved = Growing(1e9, offset_ns=4_000_000)
    assert [control.update(moved, Reason.USED) for _ in range(3)] == [8, 8, 8]


def test_a_real_estimator_is_asked_more_often_within_two_samples_of_a_jump_of_the_frequency():
    noise, estimator, control = random.Random(4), KalmanEstimator(NETWORK_NOISE), PollControl(6, 10)
    at, rate_changes_at, jump = 0, 400_000, 50e-6
    asked: list[int] = []
    while len(asked) < 3:
        there, back = noise.expovariate(1e2), noise.expovariate(1e2)
        phase = (there - back) / 2 + jump * max(0, at - rate_changes_at)
        reason = estimator.add(Sample(RawNs(at * 10**9), round(phase * 1e9), 1e-6, 2e-4 + there + back))
        exponent = control.update(estimator, reason)
        if at > rate_changes_at:
            asked.append(exponent)
        elif at > rate_changes_at - 2000:
            assert exponent == 10
        at += 2**exponent
    assert min(asked[:2]) <= 8
