"""What is learned while the reference is there, and what is promised when it has gone."""

import copy
import functools
import json
import math
from random import Random

import pytest

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import RawNs

START_NS = 1_800_000_000 * 10**9
MINUTE = 60
HOUR = 3600
DAY = 24 * HOUR
NOISE = 5e-9


def at(second: float) -> RawNs:
    return RawNs(START_NS + round(second * 1e9))


def estimate(rate: float = 0.0, rate_deviation: float = 1e-9) -> Estimate:
    return Estimate(-5_000_000, rate, 1e-7, 1e-6, rate_deviation)


def taught(rate, until: int, *, start: int = 0, temperature=None, model: HoldoverModel | None = None) -> HoldoverModel:
    """A model that was locked for so many seconds to an oscillator with this rate(second)."""
    if model is None:
        return copy.deepcopy(_taught(rate, until, start, temperature))
    return _teach(model, rate, until, start, temperature)


@functools.cache
def _taught(rate, until: int, start: int, temperature) -> HoldoverModel:
    return _teach(HoldoverModel(), rate, until, start, temperature)


def _teach(model: HoldoverModel, rate, until: int, start: int, temperature) -> HoldoverModel:
    noise = Random(1)
    for second in range(start, until + 1, MINUTE):
        warmth = temperature(second) if temperature else None
        model.learn(at(second), rate(second) + noise.gauss(0, NOISE), NOISE, warmth)
    return model


def error(model: HoldoverModel, rate, begin: int, length: int, temperature=None) -> float:
    """Seconds by which the model is off at the end of a holdover."""
    model.begin(at(begin), estimate(rate(begin)))
    phase, step = 0.0, 10 * MINUTE
    for second in range(begin, begin + length, step):
        phase += rate(second + step / 2) * step
        prediction = model.predict(at(second + step), temperature(second + step) if temperature else None)
    return (prediction.offset_ns - estimate().offset_ns) * 1e-9 - phase


def daily(second: float) -> float:
    """0.3 ppm up and down with the time of day."""
    return 12e-6 + 0.3e-6 * math.sin(2 * math.pi * (START_NS / 1e9 + second) / DAY)


def constant(_second: float) -> float:
    return 12e-6


def heating(second: float) -> float:
    """A room that is heated by day and at odd hours."""
    return 22 + 3 * math.sin(2 * math.pi * second / DAY) + 2 * math.sin(2 * math.pi * second / (5.3 * HOUR))


def heated(second: float) -> float:
    """A crystal of 80 ppb/K with some curvature in that room."""
    warmth = heating(second) - 25
    return -8e-6 + (80 * warmth - 2 * warmth**2) * 1e-9


def test_a_steady_oscillator_is_carried_on_at_its_frequency():
    model = taught(constant, DAY)
    assert abs(error(model, constant, DAY, DAY)) < 1e-3
    assert model.predict(at(2 * DAY)).rate == pytest.approx(12e-6, abs=20e-9)


def test_a_daily_swing_that_was_seen_is_predicted():
    model = taught(daily, 2 * DAY)
    last_frequency_alone = abs(daily(2 * DAY) - 12e-6) * DAY
    assert last_frequency_alone > 10e-3
    assert abs(error(model, daily, 2 * DAY, DAY)) < 1e-3


def test_ageing_is_carried_on():
    def ageing(second: float) -> float:
        return 1e-6 + 50e-9 * second / DAY

    assert abs(error(taught(ageing, 3 * DAY), ageing, 3 * DAY, DAY)) < 0.3 * 50e-9 * DAY / 2


def test_a_thermometer_is_used_once_it_has_proven_itself():
    blind = error(taught(heated, DAY), heated, DAY, DAY)
    sensed = error(taught(heated, DAY, temperature=heating), heated, DAY, DAY, heating)
    assert abs(sensed) < 0.3e-3 < abs(blind)


def test_a_thermometer_that_says_nothing_of_the_crystal_does_no_harm():
    noise = Random(3)
    model = taught(daily, 2 * DAY, temperature=lambda _: noise.uniform(20, 30))
    assert abs(error(model, daily, 2 * DAY, DAY, lambda _: noise.uniform(20, 30))) < 2e-3


@pytest.mark.parametrize("fallen_silent", [None, math.nan, math.inf, 1e9])
def test_a_thermometer_that_fails_in_holdover_widens_the_bound(fallen_silent):
    model = taught(heated, DAY, temperature=heating)
    model.begin(at(DAY), estimate(heated(DAY)))
    before = model.predict(at(DAY + 20 * MINUTE), fallen_silent).deviation
    after = model.predict(at(DAY + 40 * MINUTE), fallen_silent).deviation
    assert after > 3 * before


def test_the_bound_is_wide_before_a_day_was_seen():
    """An uncompensated crystal at an unknown place in an unseen daily swing."""
    model = taught(constant, HOUR)
    model.begin(at(HOUR), estimate(12e-6))
    assert 3 * model.predict(at(HOUR + 6 * HOUR)).deviation > 0.1e-6 * 6 * HOUR


def test_the_bound_starts_at_the_estimates_own():
    model = taught(constant, DAY)
    model.begin(at(DAY), estimate(12e-6))
    assert model.predict(at(DAY)).deviation == pytest.approx(1e-7)
    assert model.predict(at(DAY)).offset_ns == estimate().offset_ns


def test_a_quiet_oscillator_is_promised_more_than_a_wandering_one():
    walk, rates = Random(2), [12e-6]
    for _ in range(2 * 1440):
        rates.append(rates[-1] + walk.gauss(0, 8e-9))

    def wandering(second: float) -> float:
        return rates[int(second) // MINUTE]

    deviations = []
    for rate in (constant, wandering):
        model = taught(rate, 2 * DAY)
        model.begin(at(2 * DAY), estimate(rate(2 * DAY)))
        deviations.append(model.predict(at(2 * DAY + 4 * HOUR)).deviation)
    assert deviations[1] > 5 * deviations[0]


def test_the_time_left_is_when_the_bound_has_grown_by_the_budget():
    model = taught(daily, DAY)
    model.begin(at(DAY), estimate(daily(DAY)))
    left = model.budget_left(1e-3, at(DAY))
    growth = 3 * (model.predict(at(DAY + left)).deviation - model.predict(at(DAY)).deviation)
    assert growth == pytest.approx(1e-3, rel=0.02)
    assert model.budget_left(1e-3, at(DAY + left / 2)) == pytest.approx(left / 2, rel=0.01)
    assert model.budget_left(1e-3, at(DAY + 2 * left)) == 0.0
    assert model.budget_left(2e-3, at(DAY)) > left


def test_a_budget_that_is_never_spent_lasts_a_month():
    model = taught(constant, DAY)
    model.begin(at(DAY), estimate(12e-6))
    assert model.budget_left(1e6, at(DAY)) >= 30 * DAY


def test_without_anything_learned_the_estimates_rate_is_carried_on():
    model = HoldoverModel()
    model.begin(at(0), estimate(40e-6, 1e-6))
    prediction = model.predict(at(HOUR))
    assert prediction.rate == pytest.approx(40e-6, abs=10e-9)
    assert 3 * prediction.deviation > 1e-6 * HOUR


def test_learning_ends_a_holdover_and_the_gap_is_bridged():
    model = taught(daily, 2 * DAY)
    assert abs(error(model, daily, 2 * DAY, 6 * HOUR)) < 1e-3
    taught(daily, 3 * DAY, start=2 * DAY + 6 * HOUR, model=model)
    assert abs(error(model, daily, 3 * DAY, DAY)) < 1e-3


def test_numbers_that_are_none_and_instants_that_come_again_are_passed_over():
    model = taught(constant, DAY)
    for second, rate in ((DAY, 1.0), (0, 1.0), (DAY + 1, math.nan), (DAY + 2, math.inf)):
        model.learn(at(second), rate, NOISE)
    assert abs(error(model, constant, DAY, HOUR)) < 0.1e-3


def test_what_was_learned_survives_a_restart():
    """Also that of the kernel's counter, which may come up with another frequency."""
    saved = json.loads(json.dumps(taught(heated, 2 * DAY, temperature=heating).as_dict()))
    begin = 2 * DAY + 3 * HOUR

    def rebooted(second: float) -> float:
        return heated(second) + 20e-6

    restored = taught(
        rebooted, begin, start=begin - 2 * HOUR, temperature=heating, model=HoldoverModel.from_dict(saved)
    )
    fresh = taught(rebooted, begin, start=begin - 2 * HOUR, temperature=heating)
    learned, again = (abs(error(model, rebooted, begin, DAY, heating)) for model in (restored, fresh))
    assert learned < 1e-3
    assert learned < again / 3


def test_a_restart_that_hears_no_reference_forgets_nothing():
    saved = taught(heated, DAY, temperature=heating).as_dict()
    assert HoldoverModel.from_dict(saved).as_dict().keys() == saved.keys()


def test_a_thermometer_that_was_moved_does_not_break_the_promise():
    def moved(second: float) -> float:
        return 30 + heating(second) / 2

    model = taught(heated, 2 * DAY, temperature=heating)
    taught(heated, 3 * DAY, start=2 * DAY + MINUTE, temperature=moved, model=model)
    assert abs(error(model, heated, 3 * DAY, DAY, moved)) < 3 * model.predict(at(4 * DAY)).deviation < 0.1


def test_what_is_kept_is_small():
    """The drift file may have 64 KiB in all, indented."""
    assert len(json.dumps(taught(heated, DAY, temperature=heating).as_dict(), indent=2)) < 16384


def test_a_clock_that_was_set_back_does_not_stop_the_learning():
    model = HoldoverModel.from_dict(taught(constant, DAY).as_dict())
    taught(lambda _: 30e-6, -3 * DAY, start=-4 * DAY, model=model)
    assert abs(error(model, lambda _: 30e-6, -3 * DAY, HOUR)) < 0.1e-3


def test_nothing_learned_is_kept_as_nothing():
    assert HoldoverModel().as_dict() == {}
    assert HoldoverModel.from_dict({}).as_dict() == {}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("at",), "yesterday"),
        (("at",), math.inf),
        (("advantage",), math.nan),
        (("reference_temperature",), None),
        (("blind",), None),
        (("blind", "mean"), [1.0]),
        (("blind", "mean"), "1234567"),
        (("blind", "covariance"), 5),
        (("blind", "covariance"), [[1.0]] * 7),
        (("blind", "scores"), {}),
        (("blind", "counts"), [-1.0] * 6),
        (("sensed", "squares"), [1e300] * 6),
        (("sensed", "covariance", 1), [1e6, 1.0]),
    ],
)
def test_a_file_that_cannot_be_is_refused(path, value):
    saved = json.loads(json.dumps(taught(heated, HOUR, temperature=heating).as_dict()))
    place = saved
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(ClockError):
        HoldoverModel.from_dict(saved)


def test_the_last_estimates_own_error_of_the_rate_is_in_the_bound_where_it_lasts():
    """The model averages the frequencies that it learns, as if independent; those of a filter with a memory are not."""
    lasting, independent = HoldoverModel(), taught(lambda _: 12e-6, DAY)
    for second in range(0, DAY, MINUTE):
        lasting.learn(at(second), 12e-6, 100e-9)
    for model in (lasting, independent):
        model.begin(at(DAY), estimate(12e-6, 100e-9))
    stated = 1e-7 + 100e-9 * 4 * HOUR
    assert lasting.predict(at(DAY + 4 * HOUR)).deviation > 0.99 * stated
    assert independent.predict(at(DAY + 4 * HOUR)).deviation < 0.6 * stated
