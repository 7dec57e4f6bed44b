"""Each way to keep the clock that can be chosen, in the same worlds."""

import pytest

ALGORITHMS = ["kalman", "regression", "pll"]
GUESSING = {"kalman": 30, "regression": 30, "pll": 900}
"""Seconds until a station is settled: the loop of RFC 5905 measures a frequency for five minutes before it steers."""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("seed", [1, 2])
def test_by_default_a_client_is_within_a_jitter_or_two(follow, algorithm, seed):
    figures, _ = follow(engine={"algorithm": algorithm}, seed=seed)
    assert figures.rms_error < 150e-6
    assert figures.maximum_error < 500e-6
    assert figures.bound_violated == 0
    assert figures.synchronised == 1


@pytest.mark.parametrize("algorithm", ["kalman", "regression"])
def test_loss_and_jitter_are_survived(follow, algorithm):
    figures, _ = follow(engine={"algorithm": algorithm}, source={"iburst": True}, link={"loss": 0.5, "jitter": 1e-3})
    assert figures.rms_error < 1e-3
    assert figures.bound_violated == 0


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_station_is_exact_by_its_pulses(simulate, algorithm):
    crystal = {"offset": 1.5, "frequency_ppm": 20, "wander_ppb": 1}
    host = {"name": "station", "oscillator": crystal, "pps": [{}], "gps": [{}], "engine": {"algorithm": algorithm}}
    settled = GUESSING[algorithm]
    figures, _ = simulate(host=[host], duration=settled + 400, settled=settled, probe=1, knots=1)
    assert figures.maximum_error < 2e-6
    assert figures.bound_violated == 0
    assert figures.synchronised == 1


@pytest.mark.parametrize("seed", [1, 2])
def test_a_restless_crystal_is_what_the_kalman_filter_is_for(follow, seed):
    restless = {"clock": {"wander_ppb": 100}, "source": {"iburst": True}, "seed": seed}
    kalman, regression, pll = (follow(engine={"algorithm": each}, **restless)[0] for each in ALGORITHMS)
    assert 3 * kalman.rms_error < regression.rms_error
    assert 3 * kalman.rms_error < pll.rms_error
