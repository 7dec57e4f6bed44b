"""Pulse lines that are noisier than anybody said: the promise holds from the first answer on."""

import math
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from ntp_usg.simulate.simulation import Simulation

QUIET = 100e-9
SCATTERS = [10e-6, 100e-6, 1e-3, 2e-3]
Draw = Callable[[Random, float], float]


def draw_normal(random: Random, scatter: float) -> float:
    return random.gauss(0, scatter)


def draw_uniform(random: Random, scatter: float) -> float:
    """Late by anything up to twice the scatter, as where somebody looks now and then."""
    return random.uniform(0, 2 * scatter)


def draw_late(random: Random, scatter: float) -> float:
    """Mostly a little late, now and then much: as on a busy machine."""
    if random.random() < 0.9:
        return random.expovariate(3 / scatter)
    return scatter * min(5, random.paretovariate(1.5))


SHAPES = [draw_normal, draw_uniform, draw_late]


def add_noise(simulation: Simulation, draw: Draw, scatter: Callable[[float], float]) -> None:
    """Let each edge be stamped late by what is drawn; the scatter in seconds depends on the time since the start."""
    (pulses,), world, random = simulation.pulses("station"), simulation.world, Random(simulation.seed)

    def change() -> None:
        world.after(1.0, change)
        pulses.phase = draw(random, scatter((world.now - world.start) / 1e9))

    world.after(0.5, change)


def run_noisily(build: Any, draw: Draw, scatter: Callable[[float], float] | float, **tables: Any) -> Simulation:
    pulses = {"jitter": 0.0} | tables.pop("pps", {})
    simulation: Simulation = build(pps=pulses, **{"duration": 200, "probe": 0.5} | tables)
    add_noise(simulation, draw, scatter if callable(scatter) else lambda _: scatter)
    return simulation


def find_broken_promises(simulation: Simulation) -> list[tuple[float, float, float]]:
    """When the true error was larger than the promised one: time, error, promise, all in seconds."""
    simulation.run()
    points = [point[:3] for point in simulation.recorders[0].points() if not math.isnan(point[2])]
    assert points, "it has promised something"
    return [(time, error, promise) for time, error, promise in points if abs(error) > promise]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("scatter", SCATTERS)
@pytest.mark.parametrize("draw", SHAPES)
def test_noise_that_nobody_declared_breaks_no_promise_from_the_first_answer_on(build_station, draw, scatter, seed):
    simulation = run_noisily(build_station, draw, scatter, seed=seed)
    assert not find_broken_promises(simulation)
    assert simulation.host("station").engine.snapshot().selected == "PPS(0)"


@pytest.mark.parametrize("scatter", SCATTERS)
@pytest.mark.parametrize("draw", SHAPES)
def test_stamps_that_declare_their_own_uncertainty_break_no_promise(build_station, draw, scatter):
    """Each stamp says how far off it may be, and is as far off as that to the same side."""
    simulation = run_noisily(build_station, draw, scatter)
    host, (pulses,) = simulation.host("station"), simulation.pulses("station")
    report = host.pulse
    host.pulse = lambda name, pulse: report(name, replace(pulse, uncertainty=abs(pulses.phase)))  # type: ignore[method-assign]
    assert not find_broken_promises(simulation)


@pytest.mark.parametrize("algorithm", ["regression", "pll"])
@pytest.mark.parametrize("draw", SHAPES)
def test_every_algorithm_keeps_its_promise_on_a_noisy_line(build_station, draw, algorithm):
    simulation = run_noisily(build_station, draw, 1e-3, engine={"algorithm": algorithm}, duration=500)
    assert not find_broken_promises(simulation)


@pytest.mark.parametrize("scatter", [100e-6, 1e-3])
@pytest.mark.parametrize("draw", SHAPES)
def test_a_noisy_line_that_is_lost_right_after_the_lock_breaks_no_promise(build_station, draw, scatter):
    loss = {"at": 10, "what": "lose", "host": "station", "thing": "pulses", "for": 60}
    simulation = run_noisily(build_station, draw, scatter, event=[loss])
    assert not find_broken_promises(simulation)


@pytest.mark.parametrize("scatter", SCATTERS[:3])
@pytest.mark.parametrize("draw", SHAPES)
def test_noise_that_begins_on_a_quiet_line_breaks_no_promise(build_station, draw, scatter):
    simulation = run_noisily(build_station, draw, lambda time: scatter if time > 100 else QUIET, duration=400)
    assert not find_broken_promises(simulation)


@pytest.mark.parametrize("scatter", SCATTERS[:3])
@pytest.mark.parametrize("draw", SHAPES)
def test_on_a_machine_that_is_busy_now_and_then_no_promise_is_broken(build_station, draw, scatter):
    simulation = run_noisily(build_station, draw, lambda time: scatter if time % 60 > 30 else QUIET, duration=400)
    assert not find_broken_promises(simulation)


@pytest.mark.parametrize("scatter", SCATTERS[:3])
@pytest.mark.parametrize("draw", SHAPES)
def test_a_noisy_line_that_comes_back_breaks_no_promise(build_station, draw, scatter):
    loss = {"at": 60, "what": "lose", "host": "station", "thing": "pulses", "for": 200}
    simulation = run_noisily(build_station, draw, scatter, event=[loss], duration=400)
    assert not find_broken_promises(simulation)


def test_noise_is_averaged_and_no_reason_for_doubt(build_station):
    simulation = run_noisily(build_station, draw_normal, 1e-3)
    (figures,) = simulation.run()
    errors = [error for time, error, _, _ in simulation.recorders[0].points() if time > 60]
    assert math.sqrt(sum(error * error for error in errors) / len(errors)) < 0.5e-3
    assert not [each.text for each in simulation.journal if "doubt" in each.text or "Holdover" in each.text]
    assert figures.steps == 1


def test_what_a_quiet_line_promises_stays_what_it_was(build_station):
    """16 us: 1 of accuracy, and what a clock may drift until the next pulse (RFC 5905's 15 ppm)."""
    simulation = run_noisily(build_station, draw_normal, QUIET)
    assert not find_broken_promises(simulation)
    promises = [promise for time, _, promise, _ in simulation.recorders[0].points() if time > 30]
    assert max(promises) < 17e-6
