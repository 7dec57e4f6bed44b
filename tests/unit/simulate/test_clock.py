"""The three clocks of a simulated machine: wall, monotonic, and ours."""

from random import Random

import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.oscillators import OscillatorSettings
from ntp_usg.simulate.world import World


@pytest.fixture
def clock(world: World) -> SimulatedClock:
    return SimulatedClock(world, OscillatorSettings(offset=0.5, frequency_ppm=100), Random(1), 1.0)


def wait(world: World, interval: int) -> None:
    world.run(WallNs(world.now + interval * 10**9))


def test_both_clocks_run_as_the_crystal_does(world: World, clock: SimulatedClock):
    host, mono = clock.read()
    wait(world, 1000)
    later_host, later_mono = clock.read()
    assert later_host - host == later_mono - mono == 1000 * 10**9 + 100_000_000
    assert later_host - world.now == 600_000_000


def test_another_program_moves_the_wall_clock_only(world: World, clock: SimulatedClock):
    host, mono = clock.read()
    clock.step_host(-3.0)
    assert clock.read() == (host - 3 * 10**9, mono)
    assert clock.stamp(world.now) == host - 3 * 10**9


def test_in_sleep_the_monotonic_clock_stands_still(world: World, clock: SimulatedClock):
    host, mono = clock.read()
    clock.suspend()
    assert clock.asleep
    wait(world, 3600)
    clock.resume()
    assert clock.read()[1] == mono
    assert seconds(clock.read()[0] - host) == pytest.approx(3600, rel=1e-3)
    assert clock.suspended_for() == pytest.approx(3600, rel=1e-3)


def test_a_deadline_is_found_in_true_time(world: World, clock: SimulatedClock):
    clock.suspend()
    wait(world, 60)
    clock.resume()
    _, mono = clock.read()
    true = clock.true_time(MonoNs(mono + 10**12))
    world.run(true)
    assert abs(clock.read()[1] - mono - 10**12) <= 2


def test_steering_moves_what_is_served_and_nothing_else(world: World, clock: SimulatedClock):
    host, _ = clock.read()
    mapping = ClockMapping(base_ns=host, offset_ns=-500_000_000)
    clock.steer(mapping, step=True)
    assert clock.read()[0] == host
    assert clock.serving() == clock.current() == mapping
    assert clock.serving().wall(host) == world.now
