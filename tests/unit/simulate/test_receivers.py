"""What receivers report, and how it is off."""

import statistics
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest

from ntp_usg.core.base.instants import WallNs, nearest_second
from ntp_usg.core.base.samples import FixQuality, Pulse, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.oscillators import OscillatorSettings
from ntp_usg.simulate.receivers import MessageNoise, PulseNoise, SimulatedMessages, SimulatedPulses
from ntp_usg.simulate.world import World


@dataclass
class Recording:
    """As much of a host as drivers see, with a perfect clock: what it shows is true time."""

    clock: SimulatedClock
    pulses: list[Pulse] = field(default_factory=list)
    messages: list[TimeMessage] = field(default_factory=list)

    def pulse(self, name: str, pulse: Pulse) -> None:
        self.pulses.append(pulse)

    def message(self, name: str, message: TimeMessage) -> None:
        self.messages.append(message)

    def reception(self, name: str, reception: Reception) -> None:
        raise AssertionError(reception)

    def verdict(self, name: str, verdict: Verdict) -> None:
        raise AssertionError(verdict)


@pytest.fixture
def host(world: World) -> Recording:
    return Recording(SimulatedClock(world, OscillatorSettings(), Random(1), 1.0))


def pulses(world: World, host: Recording, **noise: Any) -> SimulatedPulses:
    return SimulatedPulses("PPS(0)", PulseNoise(**noise), world, host, Random(1))


def messages(world: World, host: Recording, **noise: Any) -> SimulatedMessages:
    return SimulatedMessages("GPS(0)", MessageNoise(**noise), world, host, Random(1))


def wait(world: World, interval: float) -> None:
    world.run(WallNs(world.now + round(interval * 1e9)))


def late(host: Recording) -> list[int]:
    return [pulse.edge_at - nearest_second(pulse.edge_at) for pulse in host.pulses]


def test_an_edge_a_second_with_delay_and_jitter(world: World, host: Recording):
    pulses(world, host, delay=50e-6, jitter=1e-6)
    wait(world, 1000.5)
    assert [pulse.sequence for pulse in host.pulses] == list(range(1, 1001))
    assert statistics.mean(late(host)) == pytest.approx(50_000, abs=150)
    assert statistics.stdev(late(host)) == pytest.approx(1000, rel=0.1)


def test_the_sawtooth_rises_and_falls_back(world: World, host: Recording):
    pulses(world, host, jitter=0.0, sawtooth=10e-6, sawtooth_period=50.0)
    wait(world, 100.5)
    assert max(late(host)) > 9000
    assert min(late(host)) < -9000
    rises = sum(b > a for a, b in zip(late(host), late(host)[1:], strict=False))
    assert rises == 97, "99 differences, and two falls"


def test_edges_are_missing_and_others_are_spurious(world: World, host: Recording):
    pulses(world, host, jitter=0.0, missing=0.2, glitches=0.1)
    wait(world, 2000.5)
    true = [each for each in late(host) if each == 0]
    assert len(true) == pytest.approx(1600, rel=0.05)
    assert len(host.pulses) - len(true) == pytest.approx(200, rel=0.2)


def test_pulses_that_are_lost_come_back_with_another_phase(world: World, host: Recording):
    line = pulses(world, host, jitter=0.0)
    line.present = False
    wait(world, 10.5)
    assert not host.pulses
    line.present, line.phase = True, 1e-3
    wait(world, 1)
    assert late(host) == [1_000_000]


def test_messages_name_the_second_that_has_just_begun(world: World, host: Recording):
    messages(world, host, latency=0.2, jitter=0.0)
    wait(world, 3.6)
    assert [each.second for each in host.messages] == [world.start + n * 10**9 for n in (1, 2, 3)]
    assert {each.received_at - each.second for each in host.messages} == {200_000_000}
    assert host.messages[0].fix.quality is FixQuality.GPS


def test_a_receiver_without_sky_says_so_and_a_wrong_one_does_not(world: World, host: Recording):
    receiver = messages(world, host)
    receiver.sees_sky, receiver.wrong_seconds = False, -1
    wait(world, 1.6)
    assert host.messages[0].fix.quality is FixQuality.NO_FIX
    assert host.messages[0].second == world.start
