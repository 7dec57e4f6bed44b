"""Delays have the mean and the sides that were asked for; datagrams arrive once, or not at all."""

import statistics
from random import Random
from typing import Any

import pytest

from ntp_usg.core.base.instants import WallNs
from ntp_usg.simulate.links import Datagram, Link, LinkSettings, Network
from ntp_usg.simulate.world import World


def delays(*, there: bool = True, count: int = 4000, **settings: Any) -> list[float | None]:
    link = Link(LinkSettings(**settings), Random(1))
    return [link.delay(there=there, elapsed=float(second)) for second in range(count)]


def arrived(delays: list[float | None]) -> list[float]:
    return [delay for delay in delays if delay is not None]


@pytest.mark.parametrize("distribution", ["exponential", "uniform", "gamma"])
def test_jitter_has_its_mean_and_never_beats_the_base_delay(distribution: str):
    values = arrived(delays(delay=1e-3, jitter=1e-4, distribution=distribution))
    assert min(values) >= 1e-3
    assert statistics.mean(values) == pytest.approx(1.1e-3, rel=0.01)


def test_normal_jitter_lies_on_both_sides_of_the_base_delay_but_takes_no_negative_time():
    values = arrived(delays(delay=1e-3, jitter=1e-4, distribution="normal"))
    assert statistics.mean(values) == pytest.approx(1e-3, rel=0.01)
    assert statistics.stdev(values) == pytest.approx(1e-4, rel=0.05)
    assert min(arrived(delays(delay=0.0, jitter=1e-4, distribution="normal"))) == 0.0


def test_asymmetry_is_the_difference_of_the_two_ways():
    assert delays(delay=1e-3, asymmetry=4e-4, count=1) == [pytest.approx(1.2e-3)]
    assert delays(delay=1e-3, asymmetry=4e-4, count=1, there=False) == [pytest.approx(0.8e-3)]


def test_the_way_back_may_have_its_own_jitter():
    assert set(delays(delay=1e-3, jitter=1e-3, jitter_back=0.0, there=False)) == {1e-3}


def test_the_share_that_was_asked_for_is_lost():
    assert delays(loss=0.25).count(None) == pytest.approx(1000, abs=100)


def test_in_bursts_datagrams_queue():
    values = arrived(delays(delay=1e-3, burst_interval=90.0, burst_time=10.0, burst_delay=5e-3, count=40000))
    queued = [value for value in values if value > 1e-3]
    assert len(queued) / len(values) == pytest.approx(0.1, rel=0.2)
    assert statistics.mean(queued) == pytest.approx(6e-3, rel=0.1)
    assert values[:10] == [1e-3] * 10, "it is quiet at first"


class Listener:
    name = "listener"

    def __init__(self) -> None:
        self.heard: list[Datagram] = []

    def receive(self, datagram: Datagram) -> None:
        self.heard.append(datagram)


@pytest.mark.parametrize(("up", "heard"), [(True, 1), (False, 0)])
def test_a_datagram_arrives_after_its_delay_unless_the_link_is_down(world: World, up: bool, heard: int):
    network, listener = Network(world), Listener()
    network.add(listener)
    network.connect("talker", "listener", Link(LinkSettings(delay=0.5), Random(1)))
    network.link("listener", "talker").up = up
    network.send(Datagram("talker", "listener", "a", b"hello"), later=0.25)
    world.run(WallNs(world.start + 749_000_000))
    assert not listener.heard
    world.run(WallNs(world.start + 751_000_000))
    assert len(listener.heard) == heard


def test_where_there_is_no_link_nothing_arrives(world: World):
    network, listener = Network(world), Listener()
    network.add(listener)
    network.send(Datagram("talker", "listener", "a", b"hello"))
    world.run(WallNs(world.start + 10**12))
    assert not listener.heard
