"""The loop of RFC 5905 and the clock filter before it."""

import pytest

from ntp_usg.core.algorithms.clock_filter import ClockFilter, LoopEstimator
from ntp_usg.core.algorithms.estimator import NoiseModel
from ntp_usg.core.algorithms.pll import MAX_FREQUENCY, PllFll
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

NETWORK = NoiseModel(expected=1e-3, floor=1e-6, gate=100e-6)


def sample(second: int, offset: float, delay: float = 1e-3) -> Sample:
    return Sample(RawNs(second * 10**9), round(offset * 1e9), 1e-6, delay)


def clock_error_after(loop: PllFll, updates: int, poll: float, frequency: float) -> float:
    """A clock that is slow by `frequency` and follows the loop."""
    error = 0.01
    for _ in range(updates):
        loop.update(error, poll, poll)
        error += (frequency - loop.frequency) * poll - loop.advance(poll)
    return error


@pytest.mark.parametrize("poll", [16.0, 64.0, 1024.0, 4096.0])
def test_the_loop_finds_the_frequency_at_short_and_long_polls(poll):
    loop = PllFll(settled=True)
    assert abs(clock_error_after(loop, 1000, poll, 20e-6)) < 1e-6
    assert loop.frequency == pytest.approx(20e-6, rel=1e-3)


def test_an_offset_is_worked_off_gradually():
    loop = PllFll()
    assert loop.update(1e-3, 64, 64) == (1e-3, 0.0)
    first, second = loop.advance(64), loop.advance(64)
    assert 0 < second < first < 1e-3 / 4
    assert first + second + loop.residual == pytest.approx(1e-3)


def test_the_frequency_stays_within_what_kernels_take():
    loop = PllFll(settled=True)
    for _ in range(1000):
        loop.update(1.0, 1024, 1024)
    assert loop.frequency == MAX_FREQUENCY


def test_the_filter_gives_the_sample_of_least_delay_and_never_an_older_one_again():
    stages = ClockFilter()
    first = stages.add(sample(0, 0, 2e-3))
    assert first is not None
    best = sample(16, 0, 1e-3)
    assert stages.add(best) is best
    assert stages.add(sample(32, 0, 5e-3)) is None
    late = [stages.add(sample(48 + 16 * i, 0, 5e-3)) for i in range(7)]
    assert late == [None] * 6 + [sample(144, 0, 5e-3)]


def test_the_estimator_follows_a_source_and_restarts_when_it_moved():
    estimator = LoopEstimator(NETWORK)
    for i in range(600):
        assert estimator.add(sample(64 * i, 20e-6 * 64 * i)) is Reason.USED
    estimate = estimator.estimate(RawNs(64 * 600 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns * 1e-9 == pytest.approx(20e-6 * 64 * 600, abs=20e-6)
    assert estimate.rate == pytest.approx(20e-6, abs=0.1e-6)
    moved = [estimator.add(sample(64 * (600 + i), 5.0)) for i in range(5)]
    assert moved == [Reason.OUTLIER] * 4 + [Reason.USED]
    restarted = estimator.estimate(RawNs(64 * 604 * 10**9))
    assert restarted is not None
    assert restarted.offset_ns == 5_000_000_000
    assert restarted.rate == pytest.approx(20e-6, abs=0.1e-6)


def test_a_leap_second_moves_the_loop_and_all_it_has_seen():
    estimator = LoopEstimator(NETWORK)
    for i in range(20):
        estimator.add(sample(64 * i, 1e-6))
    estimator.shift(-(10**9))
    assert [estimator.add(sample(64 * i, 1e-6 - 1)) for i in range(20, 30)] == [Reason.USED] * 10
    estimate = estimator.estimate(RawNs(64 * 30 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns == pytest.approx(-(10**9) + 1000, abs=100)


def test_an_expected_frequency_is_held_from_the_first_sample():
    estimator = LoopEstimator(NETWORK)
    estimator.expect(30e-6, 1e-6)
    estimator.add(sample(0, 0.0))
    estimate = estimator.estimate(RawNs(100 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns == 3_000_000


def test_an_unknown_frequency_is_measured_before_the_loop_closes():
    loop = PllFll()
    loop.update(0.0, 64, 64)
    for second in (64, 128, 192, 256):
        assert loop.update(50e-6 * second, 64, 64) == (0.0, 0.0)
    assert loop.update(50e-6 * 320, 64, 64) == pytest.approx((50e-6 * 320, 50e-6))
    assert loop.settled


@pytest.mark.parametrize(("spacing", "delay"), [(1, 0.0), (64, 1e-3)])
def test_a_clock_far_off_in_frequency_is_not_taken_for_a_series_of_outliers(spacing, delay):
    estimator = LoopEstimator(NETWORK)
    reasons = {estimator.add(sample(spacing * i, 300e-6 * spacing * i, delay)) for i in range(1000)}
    assert reasons == {Reason.USED}
    estimate = estimator.estimate(RawNs(0))
    assert estimate is not None
    assert estimate.rate == pytest.approx(300e-6, rel=0.01)
