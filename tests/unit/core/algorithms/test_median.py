import random
from statistics import pstdev

import pytest

from ntp_usg.core.algorithms.median import MedianFilter
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample

DECADES_NS = 1_700_000_000 * 10**9


def sample(second: int, offset_ns: int, dispersion: float = 1e-6) -> Sample:
    return Sample(RawNs(second * 10**9), offset_ns, dispersion)


def filtered(length: int, samples: list[Sample]) -> list[Sample]:
    gatherer = MedianFilter(length)
    return [combined for each in samples if (combined := gatherer.add(each)) is not None]


def test_a_filter_of_one_changes_nothing():
    samples = [sample(second, second * 7) for second in range(5)]
    assert filtered(1, samples) == samples


def test_two_samples_give_their_mean():
    (combined,) = filtered(2, [sample(0, 100), sample(1, 200, dispersion=3e-6)])
    assert (combined.at, combined.offset_ns) == (5 * 10**8, 150)
    assert combined.dispersion == pytest.approx(2e-6)


def test_each_sample_counts_once():
    assert len(filtered(4, [sample(second, 0) for second in range(11)])) == 2


@pytest.mark.parametrize("drift_ppm", [-300, 0, 300])
def test_a_steady_clock_keeps_its_line_however_fast_it_runs(drift_ppm: int):
    samples = [sample(second, DECADES_NS + second * 1000 * drift_ppm) for second in range(32)]
    for combined in filtered(8, samples):
        assert combined.offset_ns == DECADES_NS + combined.at * drift_ppm // 1_000_000


@pytest.mark.parametrize("wrong", [(3,), (0, 7), (5, 6)])
def test_a_few_wild_samples_are_thrown_away(wrong: tuple[int, ...]):
    samples = [sample(second, 10**8 if second in wrong else second * 50_000) for second in range(8)]
    (combined,) = filtered(8, samples)
    assert combined.offset_ns == pytest.approx(combined.at * 50e-6, abs=1)


def test_noise_is_averaged_down():
    noise = random.Random(4)
    samples = [sample(second, round(noise.gauss(0, 10_000))) for second in range(3200)]
    assert pstdev(each.offset_ns for each in filtered(16, samples)) < 10_000 / 2.5


def test_a_leap_second_moves_what_was_gathered():
    gatherer = MedianFilter(3)
    gatherer.add(sample(0, 0))
    gatherer.shift(-(10**9))
    gatherer.add(sample(1, -(10**9)))
    combined = gatherer.add(sample(2, -(10**9)))
    assert combined is not None
    assert combined.offset_ns == -(10**9)


def test_after_a_restart_the_count_begins_anew():
    gatherer = MedianFilter(2)
    gatherer.add(sample(0, 5))
    gatherer.restart()
    assert gatherer.add(sample(1, 6)) is None


def test_samples_of_one_instant_are_taken_too():
    (combined,) = filtered(3, [sample(1, 1), sample(1, 2), sample(1, 900)])
    assert combined.offset_ns in (1, 2)
