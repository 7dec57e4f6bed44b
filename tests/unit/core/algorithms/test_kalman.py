"""The bank of filters: what it learns, what it refuses, what it keeps."""

import random
from dataclasses import dataclass

import pytest

from ntp_usg.core.algorithms.estimator import NoiseModel
from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason

NETWORK = NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4)
PULSES = NoiseModel(expected=1e-6, floor=10e-9, gate=10e-6)
DECADES_NS = 50 * 365 * 86400 * 10**9


def estimator_of(
    count: int, *, offset_ns: int = 0, rate: float = 0.0, sigma: float = 0.0, seed: int = 1
) -> KalmanEstimator:
    noise, estimator = random.Random(seed), KalmanEstimator(PULSES)
    for second in range(count):
        error = noise.gauss(0, sigma) + rate * second
        estimator.add(Sample(RawNs(second * 10**9), offset_ns + round(error * 1e9), 1e-6))
    return estimator


def test_offset_and_rate_are_learned_and_lie_within_the_stated_deviation():
    estimate = estimator_of(200, rate=30e-6, sigma=1e-6).estimate(RawNs(200 * 10**9))
    assert estimate is not None
    assert abs(estimate.offset_ns * 1e-9 - 200 * 30e-6) < 4 * estimate.deviation
    assert estimate.deviation < 1e-6
    assert estimate.rate == pytest.approx(30e-6, abs=0.1e-6)
    assert estimate.jitter == pytest.approx(1e-6, rel=0.5)


@pytest.mark.parametrize("sigma", [1e-5, 1e-3])
def test_the_first_samples_show_their_noise_before_a_rate_is_believed(sigma):
    for seed in range(20):
        estimate = estimator_of(4, sigma=sigma, seed=seed).estimate(RawNs(3 * 10**9))
        assert estimate is not None
        assert abs(estimate.offset_ns * 1e-9) < 3 * estimate.deviation
        assert abs(estimate.rate) < 3 * estimate.rate_deviation


@pytest.mark.parametrize("count", [5, 20])
def test_a_restart_does_not_forget_how_little_was_known_of_the_frequency(count):
    estimator = estimator_of(count, sigma=1e-4)
    estimate = estimator.estimate(RawNs(0))
    estimator.restart()
    estimator.add(Sample(RawNs(0), 0, 1e-6))
    expected = estimator.estimate(RawNs(0))
    assert estimate is not None
    assert expected is not None
    assert expected.rate_deviation >= estimate.rate_deviation > 2e-6


def test_offsets_of_decades_lose_no_nanosecond():
    estimate = estimator_of(10, offset_ns=DECADES_NS).estimate(RawNs(9 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns == DECADES_NS


def test_one_sample_far_off_is_refused_but_five_in_a_row_are_a_new_beginning():
    estimator = estimator_of(20, sigma=1e-7)
    verdicts = [estimator.add(Sample(RawNs((20 + i) * 10**9), 5_000_000, 1e-6)) for i in range(5)]
    assert verdicts == [Reason.OUTLIER] * 4 + [Reason.USED]
    assert len(estimator) == 1


@dataclass
class Network:
    """Exponential jitter of 100 us each way; the clock gains `frequency` seconds per second since `changed_at`."""

    noise: random.Random
    at: float = 0.0
    frequency: float = 0.0
    changed_at: float = 0.0

    @property
    def gained(self) -> float:
        return self.frequency * (self.at - self.changed_at)

    def sample(self, *, queued: float = 0.0, wrong: float = 0.0) -> Sample:
        there, back = self.noise.expovariate(1e4) + queued, self.noise.expovariate(1e4)
        offset = (there - back) / 2 - self.gained + wrong
        return Sample(RawNs(round(self.at * 1e9)), round(offset * 1e9), 1e-6, 2e-4 + there + back)


def network_estimator(count: int = 200, *, poll: float = 128.0, seed: int = 1) -> tuple[KalmanEstimator, Network]:
    """One that has followed a server for a while, and the server at the next poll."""
    network = Network(random.Random(seed))
    estimator = KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    for _ in range(count):
        estimator.add(network.sample())
        network.at += poll
    return estimator, network


@pytest.mark.parametrize("ppm", [8, 10, -30])
def test_a_change_of_frequency_is_followed_with_the_third_sample_that_shows_it(ppm):
    for seed in range(10):
        estimator, network = network_estimator(seed=seed)
        network.frequency, network.changed_at = ppm * 1e-6, network.at - network.noise.uniform(100, 128)
        verdicts = []
        for _ in range(12):
            verdicts.append(estimator.add(network.sample()))
            network.at += 2
        assert verdicts[:3] == [Reason.OUTLIER, Reason.OUTLIER, Reason.USED]
        assert set(verdicts[3:]) == {Reason.USED}
        network.at += 40
        estimate = estimator.estimate(RawNs(round(network.at * 1e9)))
        assert estimate is not None
        assert abs(estimate.offset_ns * 1e-9 + network.gained) < 4 * estimate.deviation
        assert abs(estimate.rate + ppm * 1e-6) < 4 * estimate.rate_deviation < 40e-6
        assert estimator.ready


def test_a_server_that_was_set_is_followed_after_five_samples_which_all_count():
    estimator, network = network_estimator()
    verdicts = []
    for _ in range(6):
        verdicts.append(estimator.add(network.sample(wrong=2.0)))
        network.at += 2
    assert verdicts == [Reason.OUTLIER] * 4 + [Reason.USED] * 2
    assert estimator.ready
    assert len(estimator) == 6


@pytest.mark.parametrize(
    "strange",
    [
        [{"wrong": 5e-3}],
        [{"wrong": 5e-3}, {"wrong": 5e-3}],
        [{"wrong": 5e-3}, {"wrong": -5e-3}, {"wrong": 3e-3}],
        [{"queued": queued} for queued in (3e-3, 9e-3, 2e-3, 20e-3, 5e-3, 8e-3)],
    ],
)
def test_wild_samples_and_bursts_of_late_ones_are_not_followed(strange):
    estimator, network = network_estimator()
    for how in strange:
        estimator.add(network.sample(**how))
        network.at += 2
    estimator.add(network.sample())
    estimate = estimator.estimate(RawNs(round(network.at * 1e9)))
    assert estimate is not None
    assert abs(estimate.offset_ns) < 60_000
    assert estimate.deviation < 60e-6
    assert len(estimator) > 200


def test_an_outlier_says_nothing_of_the_noise_of_the_others():
    """A spurious pulse, a quarter of a second off, just when the noise is being learned."""
    noise, estimator = random.Random(2), estimator_of(8, sigma=1e-6)
    assert estimator.add(Sample(RawNs(7_500_000_000), 240_000_000, 1e-6)) is Reason.OUTLIER
    for second in range(8, 60):
        estimator.add(Sample(RawNs(second * 10**9), round(noise.gauss(0, 1000)), 1e-6))
    estimate = estimator.estimate(RawNs(60 * 10**9))
    assert estimate is not None
    assert estimate.deviation < 1e-6
    assert abs(estimate.offset_ns) < 1500


def test_the_frequency_survives_a_restart_as_expectation():
    estimator = estimator_of(40, rate=25e-6)
    estimator.restart()
    assert estimator.estimate(RawNs(0)) is None
    estimator.add(Sample(RawNs(100 * 10**9), 0, 1e-6))
    estimate = estimator.estimate(RawNs(101 * 10**9))
    assert estimate is not None
    assert estimate.rate == pytest.approx(25e-6, abs=1e-8)


def test_the_deviation_grows_away_from_the_samples():
    estimator = estimator_of(30, sigma=1e-6)
    near, far = estimator.estimate(RawNs(29 * 10**9)), estimator.estimate(RawNs(3600 * 10**9))
    assert near is not None
    assert far is not None
    assert far.deviation > 10 * near.deviation


def test_without_samples_there_is_no_estimate():
    assert KalmanEstimator(PULSES).estimate(RawNs(0)) is None


def test_a_leap_second_moves_the_estimate_and_nothing_else():
    estimator = estimator_of(100, rate=5e-6, sigma=1e-7)
    before = estimator.estimate(RawNs(110 * 10**9))
    estimator.shift(-(10**9))
    after = estimator.estimate(RawNs(110 * 10**9))
    assert before is not None
    assert after is not None
    assert (after.offset_ns, after.rate, after.deviation) == (
        before.offset_ns - 10**9,
        before.rate,
        before.deviation,
    )
    assert estimator.add(Sample(RawNs(110 * 10**9), after.offset_ns, 1e-6)) is Reason.USED


def test_an_expected_frequency_is_held_from_the_first_sample():
    estimator = KalmanEstimator(PULSES)
    estimator.expect(30e-6, 1e-8)
    estimator.add(Sample(RawNs(0), 0, 1e-6))
    estimate = estimator.estimate(RawNs(100 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns == pytest.approx(3_000_000, abs=1000)


def test_the_wander_is_learned():
    noise, estimator, wander = random.Random(7), KalmanEstimator(PULSES), 3e-8
    phase = frequency = 0.0
    for second in range(3000):
        estimator.add(Sample(RawNs(second * 10**9), round((phase + noise.gauss(0, 1e-6)) * 1e9), 1e-6))
        phase += frequency
        frequency += noise.gauss(0, wander)
    assert wander / 2 < estimator.wander < wander * 2


def test_a_bound_from_the_delay_is_worth_more_than_many_poor_samples():
    """One quick exchange among late ones decides; its neighbours only have to agree with it."""
    noise, estimator = random.Random(3), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    for index in range(200):
        there, back = noise.expovariate(1e2), noise.expovariate(1e2)
        at = RawNs(64 * index * 10**9)
        estimator.add(Sample(at, round((there - back) / 2 * 1e9), 1e-6, 1e-3 + there + back))
    estimate = estimator.estimate(RawNs(64 * 199 * 10**9))
    assert estimate is not None
    mean_of_as_many = 1e-2 / 2**0.5 / 200**0.5
    assert estimate.deviation < mean_of_as_many
    assert abs(estimate.offset_ns * 1e-9) < 3 * mean_of_as_many


@pytest.mark.parametrize("first", [-0.447, 0.447, 5.0, -3600.0])
@pytest.mark.parametrize("sigma", [0.0, 1e-3])
def test_a_first_sample_of_another_second_or_moment_leaves_no_impossible_rate_behind(first, sigma):
    noise, estimator = random.Random(1), KalmanEstimator(NoiseModel(expected=10e-6, floor=10e-9, gate=10e-6))
    estimator.add(Sample(RawNs(0), round(first * 1e9), 1e-6))
    for second in range(1, 12):
        estimator.add(Sample(RawNs(second * 10**9), round(noise.gauss(0, sigma) * 1e9), 1e-6))
    estimate = estimator.estimate(RawNs(12 * 10**9))
    assert estimate is not None
    assert abs(estimate.rate) < 2e-3
    assert abs(estimate.offset_ns) * 1e-9 < max(6 * sigma, 1e-4)


def one_sided(estimator: KalmanEstimator, count: int, *, there: float, back: float, poll: int = 64, seed: int = 1):
    """Feed exchanges over ways with exponential delays of these means, of a clock that is right."""
    noise = random.Random(seed)
    for index in range(count):
        x, y = (noise.expovariate(1 / mean) if mean else 0.0 for mean in (there, back))
        estimator.add(Sample(RawNs(poll * index * 10**9), round((x - y) / 2 * 1e9), 1e-6, 1e-3 + x + y))
    estimate = estimator.estimate(RawNs(poll * (count - 1) * 10**9))
    assert estimate is not None
    return estimate.offset_ns * 1e-9, estimate.deviation


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("there", "back"), [(1e-3, 0.0), (0.0, 1e-3), (1e-3, 1e-5), (1e-5, 1e-3)])
def test_queues_on_one_way_cost_next_to_nothing(there, back, seed):
    estimator = KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    offset, deviation = one_sided(estimator, 150, there=there, back=back, seed=seed)
    assert abs(offset) < 20e-6
    assert abs(offset) < 3.5 * deviation < 60e-6


def test_a_queue_that_changes_sides_is_followed():
    estimator = KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    noise, errors = random.Random(1), []
    for index in range(600):
        x, way = noise.expovariate(1e3), 1 if index < 300 else -1
        at = RawNs(64 * index * 10**9)
        assert estimator.add(Sample(at, round(way * x / 2 * 1e9), 1e-6, 1e-3 + x)) is Reason.USED
        estimate = estimator.estimate(at)
        assert estimate is not None
        errors.append(abs(estimate.offset_ns) * 1e-9)
        if index > 20:
            assert errors[-1] < 4 * estimate.deviation
    assert max(errors[300:]) < 1e-4
    assert max(errors[-50:]) < 2e-5


@pytest.mark.parametrize("way", [1, -1])
def test_a_way_that_became_longer_alone_moves_nothing_for_as_long_as_it_lasts(way):
    """+5 ms for more samples than the window of lowest delays holds, and back."""
    noise, estimator = random.Random(1), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    for index in range(1000):
        x, y = noise.expovariate(1e4), noise.expovariate(1e4)
        longer = 5e-3 if 200 <= index < 800 else 0.0
        at = RawNs(64 * index * 10**9)
        offset = (x - y + way * longer) / 2
        assert estimator.add(Sample(at, round(offset * 1e9), 1e-6, 1e-3 + x + y + longer)) is Reason.USED
        estimate = estimator.estimate(at)
        assert estimate is not None
        if index > 20:
            assert abs(estimate.offset_ns) * 1e-9 < min(1e-4, 5 * estimate.deviation)


def test_a_route_that_became_longer_both_ways_is_taken_for_that():
    noise, estimator = random.Random(1), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    for index in range(1000):
        x, y = noise.expovariate(1e4), noise.expovariate(1e4)
        at, longer = RawNs(64 * index * 10**9), 10e-3 if index >= 200 else 0.0
        assert estimator.add(Sample(at, round((x - y) / 2 * 1e9), 1e-6, 1e-3 + x + y + longer)) is Reason.USED
    estimate = estimator.estimate(at)
    assert estimate is not None
    assert abs(estimate.offset_ns) * 1e-9 < min(3e-5, 4 * estimate.deviation)
    assert estimate.deviation < 3e-5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gap", [86_400, 64])
def test_a_longer_route_is_no_queue_on_one_way_once_touch_was_lost(gap, seed):
    """A laptop in another network after a day, or another server: no past tells which way is the longer one."""
    noise, estimator = random.Random(seed), KalmanEstimator(NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4))
    at, phase, frequency, wander = 0, 0.0, 0.0, 1e-9
    for index in range(500):
        elapsed = gap if index == 150 else 64
        at, kick = at + elapsed, wander * elapsed**0.5 * noise.gauss(0, 1)
        phase, frequency = phase + elapsed * (frequency + kick / 2), frequency + kick
        if index == 150 and gap == 64:
            estimator.restart()
        x, y, longer = noise.expovariate(1e4), noise.expovariate(1e4), 20e-3 if index >= 150 else 0.0
        estimator.add(Sample(RawNs(at * 10**9), round(((x - y) / 2 + phase) * 1e9), 1e-6, 1e-3 + x + y + longer))
        estimate = estimator.estimate(RawNs(at * 10**9))
        assert estimate is not None
        if 10 < index < 150 or index > 170:
            assert abs(estimate.offset_ns * 1e-9 - phase) < 6 * estimate.deviation
    assert estimate is not None
    assert estimate.deviation < 5e-5


@pytest.mark.parametrize("shift", [0.0, 0.95e-4])
def test_one_answer_with_a_delay_that_cannot_be_moves_no_estimate_for_ever(shift):
    """A server that was set between its two stamps, or a forger: 0.1 ms of a quiet path, and hours afterwards."""
    noise, estimator = random.Random(1), KalmanEstimator(NETWORK)
    phase = rate = 0.0
    for index in range(400):
        rate += noise.gauss(0, 8e-9)
        phase += 64 * rate
        there, back = noise.expovariate(1e5), noise.expovariate(1e5)
        offset, delay = phase + (there - back) / 2, 2e-4 + there + back
        if index == 100:
            offset, delay = offset + shift, delay - 1.9e-4
        at = RawNs(index * 64 * 10**9)
        estimator.add(Sample(at, round(offset * 1e9), 1e-6, delay))
        estimate = estimator.estimate(at)
        assert estimate is not None
        assert index < 20 or abs(estimate.offset_ns * 1e-9 - phase) < 20e-6
