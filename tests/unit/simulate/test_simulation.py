"""The real engine in a simulated world: it finds the time there, and the same seed gives the same world."""

import math

import pytest

from ntp_usg.simulate.recorder import Figures
from ntp_usg.simulate.scenario import Scenario, parse_scenario
from ntp_usg.simulate.simulation import Simulation


def run(text: str, extra: str = "", seed: int | None = None) -> tuple[Figures, Simulation]:
    simulation = Simulation(parse_scenario(text + extra, "some.toml"), seed)
    (figures,) = simulation.run()
    return figures, simulation


def notes(simulation: Simulation) -> list[str]:
    return [entry.text for entry in simulation.journal]


def test_a_client_finds_the_servers_time(network: str):
    figures, _ = run(network)
    assert figures.rms_error < 50e-6
    assert figures.rms_frequency_error < 0.2e-6
    assert figures.steps <= 1
    assert figures.bound_violated == 0
    assert figures.synchronised == 1
    assert 7 < figures.packets_per_hour < 70


def test_a_station_finds_the_time_by_pulses(station: str):
    figures, _ = run(station)
    assert figures.rms_error < 1e-6
    assert figures.packets_per_hour == 0
    assert figures.time_to_lock is not None
    assert figures.time_to_lock < 15


def test_a_seed_gives_one_world_and_another_seed_another(network_scenario: Scenario):
    first, again, other = (Simulation(network_scenario, seed) for seed in (5, 5, 6))
    assert first.run() == again.run() != other.run()
    assert list(first.recorders[0].errors) == list(again.recorders[0].errors)


def test_who_has_no_source_promises_nothing():
    figures, simulation = run('duration = 100\nhost = [{ name = "lonely", oscillator = { offset = 1 } }]')
    assert figures.time_to_lock is None
    assert figures.synchronised == 0
    assert math.isnan(figures.bound_violated)
    assert figures.maximum_error == pytest.approx(1.0)
    assert math.isnan(simulation.recorders[0].bounds[0])


def test_a_host_may_ask_another_host(station: str):
    text = station.replace('"2min"', '"20min"').replace('"1min"', '"15min"')
    text += """
[[host]]
name = "below"
source = [{ name = "station", iburst = true }]
[[link]]
between = ["station", "below"]
"""
    simulation = Simulation(parse_scenario(text, "some.toml"))
    _, below = simulation.run()
    assert below.rms_error < 20e-6
    assert below.synchronised == 1


def test_a_cut_link_stops_the_answers(network: str):
    _, simulation = run(network, '[[event]]\nat = "1h"\nwhat = "cut"\nbetween = ["client", "server"]')
    source = simulation.host("client").engine.snapshot().sources[0]
    assert source.last_heard_age is not None
    assert source.last_heard_age > 3000


def test_what_happens_every_so_often_happens_again_and_again(network: str):
    event = 'at = "1h"\nwhat = "cut"\nbetween = ["client", "server"]\nfor = "10min"\nevery = "30min"'
    _, simulation = run(network, f"[[event]]\n{event}")
    starts_at, text = simulation.scenario.starts_at, "scenario: cut"
    cuts = [(entry.at - starts_at) // 10**9 for entry in simulation.journal if entry.text == text]
    assert cuts == list(range(3600, int(simulation.scenario.duration) + 1, 1800))
    assert len(cuts) > 1


def test_a_machine_that_slept_finds_the_time_again(network: str):
    event = '[[event]]\nat = "30min"\nwhat = "suspend"\nhost = "client"\nfor = "10min"\nclock_error = 0.4'
    figures, simulation = run(network, event)
    assert "Host clock moved by" in " ".join(notes(simulation))
    assert figures.rms_error < 100e-6


def test_a_stepped_host_clock_is_noticed_and_mended(network: str):
    figures, simulation = run(network, '[[event]]\nat = "30min"\nwhat = "step"\nclock = "client"\nseconds = 5')
    assert "scenario: step seconds=5.0" in notes(simulation)
    assert figures.rms_error < 100e-6


def test_a_longer_way_there_is_an_error_of_half_its_length(network: str):
    event = '[[event]]\nat = 0\nwhat = "route"\nbetween = ["client", "server"]\ndelay = "2ms"'
    figures, _ = run(network, event)
    assert figures.mean_error == pytest.approx(1e-3, rel=0.1)


def test_a_server_that_says_it_is_lost_is_not_followed_until_it_says_otherwise(network: str):
    event = '[[event]]\nat = 0\nfor = "30min"\nwhat = "claim"\nserver = "server"\nleap = 3'
    figures, _ = run(network, event)
    assert figures.time_to_lock is not None
    assert figures.time_to_lock > 1800


@pytest.mark.parametrize("thing", ["pulses", "messages", "sky"])
def test_what_is_lost_comes_back(station: str, thing: str):
    event = f'[[event]]\nat = 20\nwhat = "lose"\nhost = "station"\nthing = "{thing}"\nfor = 20'
    figures, simulation = run(station, event)
    assert notes(simulation).count(f"scenario: lose thing={thing}") == 1
    assert notes(simulation).count(f"scenario: end of lose thing={thing}") == 1
    assert figures.rms_error < 20e-6


def test_late_pulses_are_followed_into_their_error(station: str):
    figures, _ = run(station, '[[event]]\nat = 0\nwhat = "phase"\nhost = "station"\nseconds = "20us"')
    assert figures.mean_error == pytest.approx(-20e-6, rel=0.1)


def test_wrong_seconds_from_the_start_give_wrong_time(station: str):
    figures, _ = run(station, '[[event]]\nat = 0\nwhat = "wrong_second"\nhost = "station"\nseconds = 1')
    assert figures.mean_error == pytest.approx(1.0, rel=1e-3)
