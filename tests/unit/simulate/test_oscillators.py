"""The crystal: its noises have the size that they are said to have, and reading the clock changes nothing."""

import math
import statistics
from itertools import pairwise
from random import Random

import pytest

from ntp_usg.core.base.instants import RawNs, WallNs, nanoseconds, seconds
from ntp_usg.simulate.oscillators import DAY, Oscillator, OscillatorSettings

START = WallNs(1_790_000_000 * 10**9)


def after(elapsed: float) -> WallNs:
    return WallNs(START + nanoseconds(elapsed))


def make(step: float = 1.0, seed: int = 1, **settings: float) -> Oscillator:
    return Oscillator(OscillatorSettings(**settings), START, Random(seed), step)


def phase(oscillator: Oscillator, elapsed: float) -> float:
    return seconds(oscillator.reading(after(elapsed)) - after(elapsed))


def allan_deviation(oscillator: Oscillator, interval: float, count: int) -> float:
    rates = [(b - a) / interval for a, b in pairwise(phase(oscillator, interval * n) for n in range(count))]
    return math.sqrt(statistics.mean((b - a) ** 2 for a, b in pairwise(rates)) / 2)


def test_a_quiet_clock_keeps_its_offset_and_frequency():
    oscillator = make(offset=-1.5, frequency_ppm=20)
    assert phase(oscillator, 0) == -1.5
    assert phase(oscillator, 1e5) == pytest.approx(-1.5 + 2.0, abs=1e-9)
    assert oscillator.frequency(after(77.5)) == pytest.approx(20e-6)


@pytest.mark.parametrize("step", [1.0, 100.0])
def test_wander_is_a_random_walk_however_long_the_steps(step):
    ends = [make(step, seed, wander_ppb=1) for seed in range(400)]
    assert statistics.pstdev(one.frequency(after(1000)) for one in ends) == pytest.approx(1e-9 * 1000**0.5, rel=0.1)
    assert statistics.pstdev(phase(one, 1000) for one in ends) == pytest.approx(1e-9 * (1000**3 / 3) ** 0.5, rel=0.1)


@pytest.mark.parametrize("step", [1.0, 16.0])
def test_white_noise_falls_with_the_root_of_the_interval(step):
    oscillator = make(step, white_ppb=100)
    assert allan_deviation(oscillator, 64, 1000) == pytest.approx(100e-9 / 8, rel=0.1)


@pytest.mark.parametrize("interval", [16, 256, 2048])
def test_flicker_is_the_same_at_all_intervals(interval):
    oscillator = make(16.0, flicker_ppb=10)
    assert allan_deviation(oscillator, interval, 400) == pytest.approx(10e-9, rel=0.2)


def test_ageing_adds_up():
    oscillator = make(60.0, ageing_ppb=2)
    assert oscillator.frequency(after(10 * DAY)) == pytest.approx(20e-9)
    assert phase(oscillator, 10 * DAY) == pytest.approx(20e-9 * 10 * DAY / 2, rel=1e-6)


def test_a_daily_swing_of_the_temperature_moves_the_frequency_and_comes_back():
    oscillator = make(60.0, temperature_swing=3, slope_ppb=-50)
    assert oscillator.temperature(after(DAY / 4)) == pytest.approx(3.0)
    assert oscillator.frequency(after(DAY / 4)) == pytest.approx(-150e-9)
    assert phase(oscillator, DAY) == pytest.approx(0.0, abs=1e-7)


def test_temperature_noise_reaches_the_frequency_by_slope_and_curvature():
    oscillator = make(60.0, temperature_noise=0.5, slope_ppb=80, curvature_ppb=-20)
    warmth = oscillator.temperature(after(3600))
    assert warmth != 0
    assert oscillator.frequency(after(3600)) == pytest.approx((80 * warmth - 20 * warmth**2) * 1e-9)


def test_what_is_read_when_changes_nothing():
    settings = {"wander_ppb": 10, "white_ppb": 3, "flicker_ppb": 1, "temperature_noise": 1, "slope_ppb": 50}
    often, once = make(**settings), make(**settings)
    readings = [often.reading(after(n / 3)) for n in range(300)]
    assert once.reading(after(299 / 3)) == readings[-1]
    assert once.reading(after(100 / 3)) == readings[100]


def test_a_reading_leads_back_to_its_instant():
    oscillator = make(offset=1e9, frequency_ppm=500, wander_ppb=1000, white_ppb=1000)
    for elapsed in (0.0, 0.3, 17.25, 9999.999):
        true = after(elapsed)
        assert abs(oscillator.true_time(oscillator.reading(true)) - true) <= 2


def test_the_clock_runs_on_smoothly_across_a_knot():
    oscillator = make(16.0, wander_ppb=100)
    before, knot, behind = (RawNs(oscillator.reading(after(160 + dt))) for dt in (-1e-3, 0, 1e-3))
    assert abs((behind - knot) - (knot - before)) <= 2


@pytest.mark.parametrize(("over", "gained"), [(0.0, 1e-5 * 1000), (600.0, 1e-5 * 700)])
def test_a_change_of_frequency_moves_the_phase_from_then_on(over, gained):
    oscillator = make(frequency_ppm=20)
    oscillator.change_frequency(after(500), 10e-6, over)
    assert phase(oscillator, 500) == pytest.approx(20e-6 * 500, abs=1e-9)
    assert phase(oscillator, 1500) == pytest.approx(20e-6 * 1500 + gained, abs=1e-9)
    assert oscillator.frequency(after(499)) == pytest.approx(20e-6)
    assert oscillator.frequency(after(1500)) == pytest.approx(30e-6)
    assert oscillator.true_time(oscillator.reading(after(1200))) == pytest.approx(after(1200), abs=2)
