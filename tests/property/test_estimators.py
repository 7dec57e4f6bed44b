"""Whatever the poll and the jitter: estimators stay finite, honest and close, and a step makes them begin again."""

import math
from collections import deque
from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp_usg.core.algorithms.clock_filter import LoopEstimator
from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.base.instants import RawNs, nanoseconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

ESTIMATORS = [KalmanEstimator, SampleHistory, LoopEstimator]
POLLS = st.integers(-6, 17)
JITTERS = st.floats(-9, 0).map(lambda exponent: 10.0**exponent)
SEEDS = st.integers(0, 10**6)
DECADES_NS = 50 * 365 * 86400 * 10**9


def exchange(random: Random, jitter: float) -> tuple[float, float]:
    """Offset error and delay of one exchange whose ways are both delayed exponentially."""
    there, back = random.expovariate(1 / jitter), random.expovariate(1 / jitter)
    return (there - back) / 2, 1e-4 + there + back


def feed(
    estimator: Estimator, random: Random, *, poll: float, count: int, rate: float, network: bool, jitter: float
) -> None:
    for index in range(count):
        error, delay = exchange(random, jitter) if network else (random.gauss(0, jitter), 0.0)
        offset_ns = DECADES_NS + nanoseconds(rate * poll * index + error)
        estimator.add(Sample(RawNs(nanoseconds(poll * index)), offset_ns, 1e-6, delay))


@pytest.mark.parametrize("build", ESTIMATORS)
@given(poll=POLLS, jitter=JITTERS, rate=st.floats(-100e-6, 100e-6), network=st.booleans(), seed=SEEDS)
@settings(deadline=None, max_examples=30)
def test_every_poll_and_jitter_leaves_the_estimate_near_the_truth(
    build: Callable[[NoiseModel], Estimator], poll, jitter, rate, network, seed
):
    interval, count = 2.0**poll, 150
    estimator = build(NoiseModel(expected=jitter, floor=1e-9, gate=10 * jitter))
    feed(estimator, Random(seed), poll=interval, count=count, rate=rate, network=network, jitter=jitter)
    estimate = estimator.estimate(RawNs(nanoseconds(interval * (count - 1))))
    assert estimate is not None
    error = (estimate.offset_ns - DECADES_NS) * 1e-9 - rate * interval * (count - 1)
    assert math.isfinite(estimate.deviation)
    assert abs(estimate.rate) < 600e-6
    # The loop works the frequency's error off, the slower the longer the poll; before it is ready it has seen nothing.
    lag = (40 if estimator.ready else count) if isinstance(estimator, LoopEstimator) else 0
    unlocked = 100e-6 * interval * lag
    assert abs(error) < 10 * jitter + unlocked + 1e-8


@pytest.mark.parametrize("build", ESTIMATORS)
@given(poll=st.integers(-6, 10), step=st.floats(0.5, 100), network=st.booleans(), seed=SEEDS)
@settings(deadline=None, max_examples=20)
def test_a_step_invalidates_older_samples(build: Callable[[NoiseModel], Estimator], poll, step, network, seed):
    """Up to the usual longest poll: in hours between two samples a clock may drift by as much as these steps."""
    random, interval, jitter = Random(seed), 2.0**poll, 1e-5
    estimator = build(NoiseModel(expected=jitter, floor=1e-9, gate=10 * jitter))
    estimator.expect(0.0, 1e-6)
    feed(estimator, random, poll=interval, count=200, rate=0.0, network=network, jitter=jitter)
    reasons = []
    for index in range(200, 206):
        error, delay = exchange(random, jitter) if network else (random.gauss(0, jitter), 0.0)
        offset_ns = DECADES_NS + nanoseconds(step + error)
        reasons.append(estimator.add(Sample(RawNs(nanoseconds(interval * index)), offset_ns, 1e-6, delay)))
    assert Reason.OUTLIER in reasons
    assert reasons[-1] is Reason.USED
    assert len(estimator) <= 6  # some go by those that they refused first
    estimate = estimator.estimate(RawNs(nanoseconds(interval * 205)))
    assert estimate is not None
    assert abs((estimate.offset_ns - DECADES_NS) * 1e-9 - step) < 1e-3 + 1e-6 * interval


@pytest.mark.parametrize("network", [True, False])
@pytest.mark.parametrize("wander", [1e-10, 3e-9, 1e-7])
def test_the_stated_deviation_is_honest(network, wander):
    """Mean square of error over deviation, over many clocks: 1 if all is said as it is."""
    normalised = []
    for seed in range(12):
        random, jitter, poll = Random(seed), 1e-4, 16.0
        estimator = KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
        phase, frequency = 0.0, random.gauss(0, 20e-6)
        for index in range(250):
            error, delay = exchange(random, jitter) if network else (random.gauss(0, jitter), 0.0)
            at = RawNs(nanoseconds(poll * index))
            estimator.add(Sample(at, nanoseconds(phase + error), 1e-6, delay))
            estimate = estimator.estimate(at)
            assert estimate is not None
            if index >= 20:
                normalised.append(((estimate.offset_ns * 1e-9 - phase) / estimate.deviation) ** 2)
            kick, drift = random.gauss(0, 1), random.gauss(0, 1)
            phase += frequency * poll + wander * poll**1.5 * (kick / 2 + drift / math.sqrt(12))
            frequency += wander * math.sqrt(poll) * kick
    assert 0.25 < sum(normalised) / len(normalised) < 1.6
    assert sum(value > 9 for value in normalised) / len(normalised) < 0.02


WAYS = st.sampled_from([0.0, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2])


@given(there=WAYS, back=WAYS, longer=st.floats(0, 0.05), on_the_way_there=st.floats(0, 1), seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_whatever_the_queues_and_routes_the_estimate_is_off_by_half_of_the_latest_delays_at_most(
    there, back, longer, on_the_way_there, seed
):
    """A route that is longer there, back or both, while it lasts and when it is over."""
    delays: deque[float] = deque(maxlen=8)
    random, estimator = Random(seed), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    for index in range(500):
        x, y = (random.expovariate(1 / mean) if mean else 0.0 for mean in (there, back))
        if 100 <= index < 400:
            x, y = x + longer * on_the_way_there, y + longer * (1 - on_the_way_there)
        at, delay = RawNs(nanoseconds(64.0 * index)), 2e-4 + x + y
        delays.append(delay)
        estimator.add(Sample(at, nanoseconds((x - y) / 2), 1e-6, delay))
        estimate = estimator.estimate(at)
        assert estimate is not None
        assert abs(estimate.offset_ns) * 1e-9 < max(delays) / 2 + 4 * estimate.deviation


@pytest.mark.parametrize(("there", "back"), [(1e-3, 0.0), (0.0, 1e-3), (1e-4, 0.0), (1e-3, 3e-4), (1e-5, 1e-3)])
@pytest.mark.parametrize("poll", [64.0, 1024.0])
def test_the_stated_deviation_is_honest_where_the_ways_have_unequal_queues(there, back, poll):
    normalised, wander = [], 1e-9
    for seed in range(8):
        random, estimator = Random(seed), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
        phase, frequency = 0.0, 0.0
        for index in range(250):
            x, y = (random.expovariate(1 / mean) if mean else 0.0 for mean in (there, back))
            at = RawNs(nanoseconds(poll * index))
            estimator.add(Sample(at, nanoseconds(phase + (x - y) / 2), 1e-6, 2e-4 + x + y))
            estimate = estimator.estimate(at)
            assert estimate is not None
            if index >= 20:
                normalised.append(((estimate.offset_ns * 1e-9 - phase) / estimate.deviation) ** 2)
            kick, drift = random.gauss(0, 1), random.gauss(0, 1)
            phase += frequency * poll + wander * poll**1.5 * (kick / 2 + drift / math.sqrt(12))
            frequency += wander * math.sqrt(poll) * kick
    assert sum(normalised) / len(normalised) < 1.6
    assert sum(value > 9 for value in normalised) / len(normalised) < 0.03


@given(ppm=st.floats(8, 30) | st.floats(-30, -8), jitter=st.sampled_from([1e-5, 1e-4]), seed=SEEDS)
@settings(deadline=None, max_examples=25)
def test_a_change_of_frequency_that_is_asked_about_at_once_leaves_an_honest_estimate(ppm, jitter, seed):
    """If the noise does not hide it: 10 ppm are 0.3 ms after half a minute."""
    random, estimator = Random(seed), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    at, changed_at = 0.0, 120 * 128.0 - random.uniform(40, 128)

    def gained() -> float:
        return float(ppm * 1e-6 * max(0.0, at - changed_at))

    for interval in [0] + [128] * 120 + [2] * 6 + [4, 8, 16, 32, 64, 64, 64]:
        at += interval
        error, delay = exchange(random, jitter)
        estimator.add(Sample(RawNs(nanoseconds(at)), nanoseconds(error + gained()), 1e-6, delay))
        assert estimator.ready or at < 1000
    estimate = estimator.estimate(RawNs(nanoseconds(at)))
    assert estimate is not None
    assert abs(estimate.offset_ns * 1e-9 - gained()) < 5 * estimate.deviation
    assert abs(estimate.rate - ppm * 1e-6) < 5 * estimate.rate_deviation
