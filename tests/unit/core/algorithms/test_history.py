"""The window, the line and the gate."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.algorithms.estimator import NoiseModel
from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.line_fit import SlopePrior, fit_line
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

NOISE = NoiseModel(expected=1e-6, floor=10e-9, gate=10e-6)
DECADES_NS = 50 * 365 * 86400 * 10**9


def history_of(
    count: int, *, offset_ns: int = 0, rate: float = 0.0, sigma: float = 0.0, seed: int = 1
) -> SampleHistory:
    noise, history = random.Random(seed), SampleHistory(NOISE)
    for second in range(count):
        error = noise.gauss(0, sigma) + rate * second
        history.add(Sample(RawNs(second * 10**9), offset_ns + round(error * 1e9), 1e-6))
    return history


def test_a_line_through_exact_points_is_exact():
    times = [-3.0, -2.0, -1.0, 0.0]
    fit = fit_line(times, [1 + 50e-6 * time for time in times], SlopePrior(), 1e-6, 1e-9)
    assert fit.value(2.0) == pytest.approx(1.0001, abs=1e-8)


@given(rate=st.floats(-100e-6, 100e-6), seed=st.integers(0, 1000))
def test_the_estimate_lies_within_its_own_stated_deviation(rate, seed):
    history = history_of(64, rate=rate, sigma=1e-6, seed=seed)
    estimate = history.estimate(RawNs(63 * 10**9))
    assert estimate is not None
    assert abs(estimate.offset_ns * 1e-9 - 63 * rate) < 6 * estimate.deviation
    assert estimate.deviation < 1e-6
    assert abs(estimate.rate - rate) < 0.1e-6


def test_offsets_of_decades_lose_no_nanosecond():
    estimate = history_of(10, offset_ns=DECADES_NS).estimate(RawNs(9 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns == DECADES_NS


def test_one_sample_far_off_is_refused_but_five_in_a_row_are_a_new_beginning():
    history = history_of(20, sigma=1e-7)
    verdicts = [history.add(Sample(RawNs((20 + i) * 10**9), 5_000_000, 1e-6)) for i in range(5)]
    assert verdicts == [Reason.OUTLIER] * 4 + [Reason.USED]
    assert len(history) == 1


def test_the_frequency_survives_a_restart_as_expectation():
    history = history_of(40, rate=25e-6)
    history.restart()
    history.add(Sample(RawNs(100 * 10**9), 0, 1e-6))
    estimate = history.estimate(RawNs(101 * 10**9))
    assert estimate is not None
    assert estimate.rate == pytest.approx(25e-6, abs=1e-8)


def test_the_deviation_grows_away_from_the_samples():
    history = history_of(30, sigma=1e-6)
    near, far = history.estimate(RawNs(29 * 10**9)), history.estimate(RawNs(3600 * 10**9))
    assert near is not None
    assert far is not None
    assert far.deviation > 10 * near.deviation


def test_without_samples_there_is_no_estimate():
    assert SampleHistory(NOISE).estimate(RawNs(0)) is None
