"""What a measurement with bounded, tilted errors says of a normal value: by the closed form, and by summing."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ntp_usg.core.algorithms.sample_noise import SampleNoise, weigh

LENGTHS = st.floats(-4, 2).map(lambda exponent: 10.0**exponent)


def sums(innovation: float, noise: SampleNoise, spread: float) -> tuple[float, float, float]:
    """Mean, remaining part of the variance and evidence, by summing over the errors within the bounds."""
    steps = 2000
    errors = [noise.half_width * (2 * (i + 0.5) / steps - 1) for i in range(steps)]
    logs = [-noise.tilt * error - (innovation - noise.bias - error) ** 2 / (2 * spread) for error in errors]
    highest = max(logs)
    weights = [math.exp(each - highest) for each in logs]
    total = math.fsum(weights)
    values = [innovation - noise.bias - error for error in errors]
    mean = math.fsum(w * v for w, v in zip(weights, values, strict=True)) / total
    variance = math.fsum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)) / total
    tilted = [-noise.tilt * error for error in errors]
    top = max(tilted)
    norm = top + math.log(math.fsum(math.exp(each - top) for each in tilted))
    evidence = highest + math.log(total) - norm - 0.5 * math.log(2 * math.pi * spread)
    return mean, variance / spread, evidence


@pytest.mark.parametrize("innovation", [0.0, 0.7, -0.7, 1.4, 3.0, -5.5, 8.0])
@pytest.mark.parametrize("tilt", [0.0, 2.0, -7.0])
def test_weighing_by_an_interval_agrees_with_summing_over_it(innovation, tilt):
    noise, spread = SampleNoise(1.3, 0.0, tilt, bias=0.2), 0.8
    mean, remaining, evidence = sums(innovation, noise, spread)
    found_mean, found_remaining, found_evidence = weigh(innovation, noise, spread)
    assert found_mean == pytest.approx(mean, abs=0.03 * math.sqrt(remaining * spread))
    assert found_remaining == pytest.approx(remaining, rel=0.1)
    assert found_evidence == pytest.approx(evidence, abs=0.05)


@given(innovation=st.floats(-30, 30), half_width=st.floats(0.01, 30), lean=st.floats(-60, 60), sigma=LENGTHS)
@settings(deadline=None, max_examples=60)
def test_any_width_and_tilt_agrees_with_summing(innovation, half_width, lean, sigma):
    """In any unit: all lengths are in parts of `sigma`."""
    noise, spread = SampleNoise(half_width * sigma, 0.0, lean / half_width / sigma), sigma * sigma
    mean, remaining, evidence = sums(innovation * sigma, noise, spread)
    found_mean, found_remaining, found_evidence = weigh(innovation * sigma, noise, spread)
    assert found_mean == pytest.approx(mean, abs=0.05 * sigma * math.sqrt(remaining))
    assert found_remaining == pytest.approx(remaining, rel=0.15)
    assert found_evidence == pytest.approx(evidence, abs=0.05)


@given(innovation=st.floats(-1e3, 1e3), half_width=st.floats(0, 1e3), tilt=st.floats(-1e7, 1e7), spread=LENGTHS)
def test_what_remains_lies_within_the_bounds_and_is_never_negative(innovation, half_width, tilt, spread):
    noise = SampleNoise(half_width, 0.0, tilt)
    mean, remaining, evidence = weigh(innovation, noise, spread)
    assert 0 <= remaining < 1 + 1e-9
    assert math.isfinite(evidence)
    if half_width >= 0.3 * math.sqrt(spread):
        assert abs(mean - innovation) <= half_width * (1 + 1e-6) + 1e-9
    assert abs(noise.mean) <= half_width * (1 + 1e-9)


@pytest.mark.parametrize("tilt", [0.0, 1e-4, -1e-4, 0.5, -3.0, 49.0, 51.0, -1e5])
def test_moments_of_the_bounded_error_agree_with_summing(tilt):
    steps, noise = 100_000, SampleNoise(1.0, 0.0, tilt)
    errors = [2 * (i + 0.5) / steps - 1 for i in range(steps)]
    weights = [math.exp(-tilt * error - abs(tilt)) for error in errors]
    total = math.fsum(weights)
    mean = math.fsum(w * e for w, e in zip(weights, errors, strict=True)) / total
    assert noise.mean == pytest.approx(mean, abs=2e-5)
    assert noise.log_density == pytest.approx(-abs(tilt) - math.log(total * 2 / steps), abs=1e-3 * (1 + abs(tilt)))
