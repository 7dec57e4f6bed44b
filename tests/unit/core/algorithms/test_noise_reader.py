"""What is read of a sample's error before it is used."""

from random import Random

import pytest

from ntp_usg.core.algorithms.estimator import NoiseModel
from ntp_usg.core.algorithms.noise_reader import NoiseReader
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample

NOISE = NoiseModel(expected=1e-3, floor=1e-6, gate=1e-4)


def sample(second: int, offset: float = 0.0, delay: float = 0.0) -> Sample:
    return Sample(RawNs(second * 10**9), round(offset * 1e9), 1e-6, delay)


def test_the_first_exchange_may_be_off_by_half_its_delay():
    bound, *_ = NoiseReader(NOISE).read(sample(0, delay=0.02))
    assert bound.half_width == pytest.approx(0.01)


@pytest.mark.parametrize("base", [1e-4, 0.2])
def test_the_bound_holds_the_error_of_nearly_every_exchange(base):
    random, reader, outside, count = Random(1), NoiseReader(NOISE), 0, 2000
    for index in range(count):
        there, back = random.expovariate(1e4), random.expovariate(1e4)
        bound, *_ = reader.read(sample(64 * index, (there - back) / 2, base + there + back))
        outside += abs(there - back) / 2 > bound.half_width + 3 * bound.sigma
    assert outside < 0.01 * count


def test_a_late_packet_is_bounded_by_what_it_was_late_by():
    reader = NoiseReader(NOISE)
    for index in range(50):
        reader.read(sample(64 * index, delay=1e-3))
    bound, *_ = reader.read(sample(64 * 50, delay=11e-3))
    assert bound.half_width == pytest.approx(5e-3, rel=0.05)


def test_after_a_longer_route_the_old_lowest_delay_is_forgotten():
    reader = NoiseReader(NOISE)
    for index in range(400):
        bound, *_ = reader.read(sample(index, delay=1e-3 if index < 100 else 9e-3))
    assert bound.half_width < 10e-6


@pytest.mark.parametrize("spacing", [1, 16])
def test_samples_without_delay_are_judged_by_their_scatter_about_any_line(spacing):
    random, reader = Random(1), NoiseReader(NOISE)
    for index in range(500):
        readings = reader.read(sample(spacing * index, 100e-6 * spacing * index + random.gauss(0, 20e-6)))
    sharp, middle, dull, twice = (reading.sigma for reading in readings)
    assert middle == pytest.approx(20e-6, rel=0.4)
    assert sharp == pytest.approx(middle / 2)
    assert dull == twice == pytest.approx(middle * 2)


def test_where_all_was_quiet_one_reading_holds_noise_within_the_gate_for_possible():
    reader = NoiseReader(NOISE)
    for index in range(2000):
        readings = reader.read(sample(index))
    assert readings[1].sigma < NOISE.gate / 10
    assert readings[2].sigma == pytest.approx(NOISE.gate / 3)


def test_one_wild_sample_hardly_moves_the_scatter():
    random, reader = Random(1), NoiseReader(NOISE)
    for index in range(200):
        before = reader.read(sample(index, random.gauss(0, 20e-6)))[1].sigma
    after = reader.read(sample(200, 1.0))[1].sigma
    assert after < 1.1 * before


def test_after_a_doubt_a_new_scatter_is_soon_learned():
    random, reader = Random(1), NoiseReader(NOISE)
    for index in range(200):
        reader.read(sample(index, random.gauss(0, 20e-6)))
    reader.doubt()
    for index in range(200, 208):
        readings = reader.read(sample(index, random.gauss(0, 2e-3)))
    assert 1e-3 < readings[1].sigma < 4e-3


def test_samples_that_agree_exactly_are_not_believed_below_the_floor():
    reader = NoiseReader(NOISE)
    for index in range(2000):
        readings = reader.read(sample(index))
    assert [reading.sigma for reading in readings[:2]] == [1e-6, 1e-6]


def read_queues(there: float, back: float, *, count: int = 300, seed: int = 1):
    """The readings of the last of some exchanges with exponential delays of these means, and its true error."""
    random, reader = Random(seed), NoiseReader(NOISE)
    for index in range(count):
        x, y = (random.expovariate(1 / mean) if mean else 0.0 for mean in (there, back))
        readings = reader.read(sample(64 * index, 50e-6 * 64 * index + (x - y) / 2, 1e-4 + x + y))
    return readings, (x - y) / 2


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("way", [1, -1])
def test_a_queue_on_one_way_alone_is_known_from_the_delay_to_a_hundredth_whatever_the_frequency(way, seed):
    readings, error = read_queues(*((1e-3, 0.0) if way > 0 else (0.0, 1e-3)), seed=seed)
    _, regression, there, back = readings
    for reading in (regression, there if way > 0 else back):
        assert reading.mean == pytest.approx(error, abs=1e-5)
        assert reading.variance**0.5 < 4e-5


def test_queues_alike_on_both_ways_hardly_tilt_a_reading():
    (even, regression, there, back), _ = read_queues(1e-3, 1e-3)
    assert abs(regression.bias) < 0.1 * even.half_width
    for reading in (there, back):
        assert abs(reading.mean) < 0.5 * reading.half_width


@pytest.mark.parametrize("ratio", [0.03, 0.1, 0.3])
def test_the_tilt_is_learned_from_what_each_way_scatters(ratio):
    """1 / (a + b) - 1 / b, for delays of means a and b."""
    (_, _, there, back), _ = read_queues(1e-3, ratio * 1e-3, count=3000)
    short, mean = ratio * 1e-3, (1 + ratio) * 1e-3
    assert -there.tilt == pytest.approx((1 / short - 1 / mean) * min(1.0, 4 * there.half_width / mean), rel=0.4)
    assert abs(back.tilt) < 500


@pytest.mark.parametrize("there", [0.0, 1e-5, 1e-3])
@pytest.mark.parametrize("back", [0.0, 3e-4])
def test_no_reading_corrects_by_more_than_half_of_the_delay_above_the_least(there, back):
    random, reader = Random(1), NoiseReader(NOISE)
    for index in range(400):
        x, y = (random.expovariate(1 / mean) if mean else 0.0 for mean in (there, back))
        even, *others = reader.read(sample(64 * index, (x - y) / 2, 1e-4 + x + y))
        assert all(abs(reading.mean) <= even.half_width + 1e-12 for reading in others)


def test_what_an_outlier_said_of_the_ways_is_forgotten():
    random, reader = Random(1), NoiseReader(NOISE)
    for index in range(100):
        x = random.expovariate(1e3)
        reader.read(sample(64 * index, x / 2, 1e-4 + x))
    reader.read(sample(64 * 100, 5.0, 1e-4))
    reader.refuse()
    _, regression, there, _ = reader.read(sample(64 * 101, 5e-4, 1.1e-3))
    assert there.mean == pytest.approx(5e-4, abs=2e-5)
    assert regression.sigma < 5e-4


@pytest.fixture
def settled_reader() -> NoiseReader:
    """One that has seen 300 delays of 20 ms and a queue of 1 ms."""
    random, reader = Random(1), NoiseReader(NOISE)
    for index in range(300):
        reader.read(sample(64 * index, delay=20e-3 + random.expovariate(1e3)))
    return reader


def test_two_delays_far_below_the_lowest_are_a_shorter_route_whose_queues_nobody_knows(settled_reader):
    """Not the truth to a microsecond: most of what is left of the delay may be a queue."""
    for second in (300, 301):
        even, *_ = settled_reader.read(sample(64 * second, delay=16e-3))
    assert even.half_width == pytest.approx(8e-3)


def test_one_delay_far_below_the_lowest_may_be_a_server_with_wrong_stamps_and_teaches_nothing(settled_reader):
    readings = settled_reader.read(sample(64 * 300, 4e-3, delay=12e-3))
    assert all(each.half_width >= 10e-3 for each in readings)
    even, *_ = settled_reader.read(sample(64 * 301, delay=20.5e-3))
    assert even.half_width < 1e-3


def test_an_outlier_teaches_nothing_of_the_route(settled_reader):
    settled_reader.read(sample(64 * 300, 5e-3, delay=19e-3))
    settled_reader.refuse()
    even, *_ = settled_reader.read(sample(64 * 301, delay=20.5e-3))
    assert even.half_width < 0.5e-3
