"""A station with a receiver: pulses, messages, the sky, and servers to fall back on."""

import pytest

from ntp_usg.core.base.snapshots import SyncPhase, Tally


def run_station(simulate, *events, pps=({},), gps=({},), servers="", **tables):
    """One host, `station`, probed each second."""
    sources = [{"name": name, "iburst": True} for name in servers]
    crystal = {"offset": 1.5, "frequency_ppm": 20, "wander_ppb": 1}
    station = {"name": "station", "oscillator": crystal, "pps": list(pps), "gps": list(gps), "source": sources}
    links = [{"between": ("station", name), "jitter": 100e-6} for name in servers]
    world = {"host": [station], "server": [{"name": name} for name in servers], "link": links, "event": list(events)}
    return simulate(**{"duration": 1200, "settled": 60, "probe": 1, "knots": 1} | world | tables)


def lose(thing, at=300, lasts=300):
    return {"at": at, "what": "lose", "host": "station", "thing": thing, "for": lasts}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_pulses_and_messages_give_the_time_to_fractions_of_a_microsecond(simulate, seed):
    figures, _ = run_station(simulate, seed=seed, duration=600)
    assert figures.rms_error < 300e-9
    assert figures.maximum_error < 1e-6
    assert figures.time_to_lock < 15
    assert figures.steps == 1
    assert figures.synchronised == 1
    assert figures.bound_violated == 0


@pytest.mark.parametrize(("jitter", "worst"), [(1e-6, 2e-6), (10e-6, 20e-6)])
def test_noisy_pulses_are_averaged(simulate, jitter, worst):
    figures, _ = run_station(simulate, pps=[{"jitter": jitter, "sawtooth": 20e-9}], settled=300)
    assert figures.maximum_error < worst
    assert figures.rms_error < jitter / 2
    assert figures.bound_violated == 0


def test_spurious_and_missing_pulses_are_no_news(simulate):
    figures, _ = run_station(simulate, pps=[{"glitches": 0.01, "missing": 0.01, "jitter": 1e-6}])
    assert figures.maximum_error < 3e-6
    assert figures.steps == 1
    assert figures.bound_violated == 0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_bad_cable_costs_precision_not_the_time(simulate, seed):
    """One edge in twenty is missing, one spurious. Where two are missing in a row, messages lead for a second."""
    cable = {"glitches": 0.05, "missing": 0.05, "jitter": 1e-6}
    figures, _ = run_station(simulate, pps=[cable], seed=seed)
    assert figures.rms_error < 50e-6
    assert figures.maximum_error < 1e-3
    assert figures.steps == 1
    assert figures.synchronised == 1
    assert figures.bound_violated == 0


def test_messages_alone_give_what_their_known_delay_allows(simulate):
    figures, _ = run_station(simulate, pps=[], gps=[{"assumed_latency": 0.12, "jitter": 3e-3}])
    assert figures.maximum_error < 10e-3
    assert figures.bound_violated == 0
    assert figures.synchronised == 1


def test_messages_of_unknown_delay_promise_no_more_than_they_hold(simulate):
    figures, _ = run_station(simulate, pps=[])
    assert 0.1 < figures.maximum_error < 0.15
    assert figures.bound_violated == 0


def test_pulses_that_come_late_take_over_from_the_messages(simulate, worst_error):
    _, simulation = run_station(simulate, lose("pulses", at=0))
    assert simulation.host("station").engine.snapshot().selected == "PPS(0)"
    assert worst_error(simulation, 30, 299, "station") < 0.15
    assert worst_error(simulation, 700, 1200, "station") < 1e-6


@pytest.mark.parametrize("thing", ["messages", "sky"])
def test_without_messages_holdover_is_exact_for_minutes(simulate, worst_error, thing):
    figures, simulation = run_station(simulate, lose(thing))
    assert figures.maximum_error < 20e-6
    assert figures.synchronised == 1
    assert figures.bound_violated == 0
    assert worst_error(simulation, 700, 1200, "station") < 1e-6


def test_without_pulses_the_station_stays_within_its_promise_until_they_are_back(simulate, worst_error):
    figures, simulation = run_station(simulate, lose("pulses"))
    assert figures.maximum_error < 10e-3
    assert figures.synchronised == 1
    assert figures.bound_violated == 0
    assert worst_error(simulation, 700, 1200, "station") < 1e-6


def test_without_its_receiver_a_station_follows_a_server(simulate, worst_error):
    losses = lose("pulses", 600, 1200), lose("sky", 600, 1200)
    scale = {"duration": 2600, "probe": 4, "knots": 4}
    figures, simulation = run_station(simulate, *losses, servers="a", **scale)
    assert figures.maximum_error < 300e-6
    assert figures.synchronised == 1
    assert figures.bound_violated == 0
    assert worst_error(simulation, 2000, 2600, "station") < 2e-6
    assert simulation.host("station").engine.serving().stratum == 1


def test_a_server_numbers_the_seconds_of_pulses_without_messages(simulate):
    figures, simulation = run_station(simulate, gps=[], servers="a", settled=200)
    assert simulation.host("station").engine.snapshot().selected == "PPS(0)"
    assert figures.maximum_error < 2e-6
    assert figures.steps == 1


def test_a_receiver_that_names_wrong_seconds_for_a_moment_is_not_believed(simulate):
    event = {"at": 300, "what": "wrong_second", "host": "station", "seconds": 1, "for": 5}
    figures, _ = run_station(simulate, event)
    assert figures.maximum_error < 1e-6
    assert figures.steps == 1
    assert figures.synchronised == 1


@pytest.mark.parametrize("seconds", [-1024 * 7 * 86400, -3, 1])
def test_three_servers_outvote_a_receiver_that_names_wrong_seconds(simulate, seconds):
    event = {"at": 300, "what": "wrong_second", "host": "station", "seconds": seconds}
    figures, simulation = run_station(simulate, event, servers="abc")
    assert figures.maximum_error < 300e-6
    assert figures.bound_violated == 0
    receiver = simulation.host("station").engine.snapshot().sources[0]
    assert receiver.tally in (Tally.FALSETICKER, Tally.REJECTED)


def test_pulses_that_shift_by_more_than_their_accuracy_are_followed(simulate):
    """A receiver that loses its survey position: alone, nobody can tell."""
    event = {"at": 300, "what": "phase", "host": "station", "seconds": 10e-6}
    figures, simulation = run_station(simulate, event)
    assert figures.maximum_error < 30e-6
    assert simulation.host("station").engine.snapshot().phase is SyncPhase.SYNCHRONISED
