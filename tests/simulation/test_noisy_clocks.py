"""Clocks that tell the whole time, and are noisier than anybody said: the promise holds from the first answer on."""

import math
from random import Random

import pytest
from tests.simulation.test_noisy_pulses import SCATTERS, SHAPES, Draw, find_broken_promises

from ntp_usg.core.base.instants import nanoseconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation

SHARED_MEMORY = ClockSettings(
    name="SHM(0)", driver="shm", device="0", reference_id=b"SHM", timeout=40.0, accuracy=10e-6
)


def listen(draw: Draw, scatter: float, *, interval: float = 1.0, seed: int = 0, duration: float = 200) -> Simulation:
    """A host whose only clock is read late by what is drawn."""
    host = {
        "name": "station",
        "oscillator": {"offset": 1.5, "frequency_ppm": 20, "wander_ppb": 1},
        "engine": {"clocks": (SHARED_MEMORY,)},
    }
    world = {"host": [host], "duration": duration, "probe": 0.5, "knots": 1, "seed": seed}
    simulation = Simulation(Scenario.model_validate(world))
    machine, world_, random = simulation.host("station"), simulation.world, Random(seed)

    def report() -> None:
        read_at = machine.clock.read()[0]
        late_ns = nanoseconds(draw(random, scatter))
        machine.perform(machine.engine.sample("SHM(0)", Measurement(read_at, world_.now - read_at - late_ns, 1e-6)))
        world_.after(interval, report)

    world_.after(interval, report)
    return simulation


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("scatter", SCATTERS)
@pytest.mark.parametrize("draw", SHAPES)
def test_noise_that_nobody_declared_breaks_no_promise_from_the_first_answer_on(draw, scatter, seed):
    assert not find_broken_promises(listen(draw, scatter, seed=seed))


@pytest.mark.parametrize("draw", SHAPES)
def test_a_clock_that_is_seldom_read_breaks_no_promise(draw):
    assert not find_broken_promises(listen(draw, 1e-3, interval=16, duration=2000))


def test_a_quiet_clock_soon_promises_no_more_than_its_accuracy_allows():
    simulation = listen(lambda random, _: random.gauss(0, 1e-6), 0.0)
    assert not find_broken_promises(simulation)
    promises = {point[0]: point[2] for point in simulation.recorders[0].points() if not math.isnan(point[2])}
    assert all(promise < 40e-6 for time, promise in promises.items() if time > 30)
