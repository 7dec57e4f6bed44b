"""When the poll interval may grow, and what makes it shrink."""

from dataclasses import dataclass

import pytest

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.poll import PollControl
from ntp_usg.core.base.instants import RawNs, seconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason


@dataclass
class Growing:
    """An estimator whose deviation doubles in so many seconds."""

    doubling: float
    ready: bool = True
    latest: Sample | None = Sample(RawNs(0), 0, 1e-6)

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
        return Estimate(0, 0.0, 1e-6 * (1 + seconds(at) / self.doubling), 1e-6)


def settled(estimator: Growing, control: PollControl) -> int:
    return [control.update(estimator, Reason.USED) for _ in range(200)][-1]


@pytest.mark.parametrize("doubling", [300.0, 1500.0, 6000.0])
def test_the_poll_settles_where_waiting_twice_as_long_costs_too_much(doubling):
    control = PollControl(4, 14)
    exponent = settled(Growing(doubling), control)
    assert 2 ** (exponent) <= 0.6 * doubling < 2 ** (exponent + 1)


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
