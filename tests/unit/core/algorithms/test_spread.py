"""What the range of a few samples tells of the error of their mean."""

from random import Random

import pytest

from ntp_usg.core.algorithms.spread import Spread, shrinkage
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample

RATE = 30e-6


def see(spread: Spread, late: list[float], begin: int = 0, estimated: float = 0.0) -> float:
    """Show samples, a second apart, of a clock that is 30 ppm off; `estimated` is off from the truth by so much."""
    for second, error in enumerate(late, begin):
        true_ns = 10**18 + round(RATE * second * 1e9)
        sample = Sample(RawNs(second * 10**9), true_ns + round(error * 1e9), 1e-6)
        spread.see(sample, true_ns + round(estimated * 1e9), first=second == 0)
    return spread.half_width


def noise(count: int, scatter: float, seed: int = 1) -> list[float]:
    random = Random(seed)
    return [random.uniform(0, scatter) for _ in range(count)]


def test_scatter_that_is_expected_is_no_news():
    assert see(Spread(1e-6), noise(200, 0.5e-6)) == 0


@pytest.mark.parametrize("scatter", [10e-6, 2e-3])
def test_the_mean_of_late_samples_is_late_by_no_more_than_is_told(scatter):
    for seed in range(100):
        told = see(Spread(1e-6), noise(64, scatter, seed), estimated=scatter / 2)
        assert scatter / 2 - 1e-6 < told < 1.5 * scatter


def test_a_few_samples_that_lie_close_together_may_do_so_by_chance():
    four, eight = see(Spread(1e-6), noise(4, 1e-3)), see(Spread(1e-6), noise(8, 1e-3))
    assert four > 10e-3
    assert eight < four / 5


def test_few_samples_are_hardly_ever_closer_than_is_allowed_for():
    broken = sum(see(Spread(1e-6), noise(6, 1e-3, seed)) < noise(6, 1e-3, seed)[-1] - 1e-6 for seed in range(2000))
    assert broken <= 1


def test_an_estimate_that_is_off_the_samples_is_told_by_how_far():
    assert see(Spread(1e-6), [0.0] * 64, estimated=50e-6) == pytest.approx(49e-6, abs=1e-7)


def test_after_a_long_silence_the_oscillator_may_be_on_another_line():
    spread = Spread(1e-6)
    see(spread, [0.0] * 64)
    assert see(spread, [5e-3] * 8, begin=1000, estimated=5e-3) == 0


def test_what_was_noisy_and_is_quiet_is_forgotten():
    spread = Spread(1e-6)
    assert see(spread, noise(64, 1e-3)) > 0
    assert see(spread, [0.0] * 64, begin=64) == 0


def test_a_leap_second_is_no_scatter():
    spread = Spread(1e-6)
    see(spread, [0.0] * 64)
    spread.shift(-(10**9))
    assert see(spread, [-1.0] * 4, begin=64, estimated=-1.0) == 0


def test_chance_matters_less_with_each_sample():
    assert [round(shrinkage(count, 1e-4), 1) for count in (4, 6, 10, 64)] == [100, 10, 3.2, 1.2]
