"""What every estimator does, whatever it goes by."""

import pytest

from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample

NOISE = NoiseModel(expected=1e-6, floor=10e-9, gate=10e-6)
LEAP_NS = -1_000_000_000


@pytest.fixture(params=[SampleHistory, KalmanEstimator])
def estimator(request: pytest.FixtureRequest) -> Estimator:
    made: Estimator = request.param(NOISE)
    return made


def feed(estimator: Estimator, start: int, count: int, *, rate: float = 0.0, offset_ns: int = 0) -> None:
    for second in range(start, start + count):
        estimator.add(Sample(RawNs(second * 10**9), offset_ns + round(rate * second * 1e9), 1e-6))


def test_a_leap_second_moves_the_estimate_by_a_second_and_loses_nothing(estimator: Estimator):
    feed(estimator, 0, 20, rate=20e-6)
    before, known = estimator.estimate(RawNs(20 * 10**9)), len(estimator)
    estimator.shift(LEAP_NS)
    after = estimator.estimate(RawNs(20 * 10**9))
    assert before is not None
    assert after is not None
    assert after.offset_ns - before.offset_ns == LEAP_NS
    assert len(estimator) == known
    feed(estimator, 21, 5, rate=20e-6, offset_ns=LEAP_NS)
    final = estimator.estimate(RawNs(25 * 10**9))
    assert final is not None
    assert final.rate == pytest.approx(20e-6, abs=1e-7)


def test_an_expected_frequency_holds_until_the_samples_know_better(estimator: Estimator):
    estimator.expect(30e-6, 1e-7)
    feed(estimator, 0, 1)
    estimate = estimator.estimate(RawNs(0))
    assert estimate is not None
    assert estimate.rate == pytest.approx(30e-6, abs=1e-8)
