"""Pulse lines that keep no usable rate: messages serve alone, within their error bound, and the reason says why."""

import math
from typing import Any

import pytest

from ntp_usg.simulate.simulation import Simulation

MESSAGES, PULSES = "GPS_NMEA(0)", "PPS(0)"
RATES = {0.5: "2 pulses a second", 0.2: "5 pulses a second", 0.1: "10 pulses a second", 1.04: "pulses 1.04 s apart",
         0.96: "pulses 0.96 s apart", 1.5: "pulses 1.5 s apart", 3.0: "pulses 3 s apart"}  # fmt: skip
GOOD = {"interval": 1.0, "noise": 0.0, "silent": False}


def promises(simulation: Simulation) -> list[tuple[float, float, float]]:
    """Time, error and error bound, in seconds, wherever time was promised."""
    return [point[:3] for point in simulation.recorders[0].points() if not math.isnan(point[2])]


def run_within_bounds(simulation: Simulation) -> tuple[list[tuple[float, float, float]], Any]:
    """Run; no served error may exceed its bound."""
    simulation.run()
    served = promises(simulation)
    assert not [point for point in served if abs(point[1]) > point[2]]
    return served, simulation.host("station").engine.snapshot()


def change(simulation: Simulation, at: float, **pulses: Any) -> None:
    """Let the line be another one from a time on, in seconds after the start."""
    (line,) = simulation.pulses("station")

    def happen() -> None:
        for name, value in pulses.items():
            setattr(line, name, value)

    simulation.world.after(at, happen)


@pytest.mark.fault(
    group="Pulses",
    kind="The pulse line has another rate than expected: 2, 5 or 10 Hz, or one pulse each 1.04 s.",
    noticed="After ten seconds the log says `PPS(0) is not used` and names the rate that is seen, as `explain` does.",
    served="Time by the messages alone, with their error bound of 0.2 s.",
)
@pytest.mark.parametrize(("interval", "words"), RATES.items())
def test_messages_serve_alone_beside_pulses_of_another_rate(build_station, interval, words):
    simulation = build_station(pps={"interval": interval}, duration=60)
    served, snapshot = run_within_bounds(simulation)
    assert served[0][0] < 13
    assert snapshot.selected == MESSAGES
    assert words in snapshot.sources[1].reason
    assert [entry.text for entry in simulation.journal if "not used" in entry.text and words in entry.text]


@pytest.mark.fault(
    group="Pulses",
    kind="The pulse input is open or picks up noise: edges come at random.",
    noticed="After ten seconds the log, `status` and `explain` say that edges come at irregular times.",
    served="Time by the messages alone, with their error bound of 0.2 s.",
)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rate", [1, 2, 3, 4, 5, 6])
def test_random_edges_never_lead(build_station, rate, seed):
    simulation = build_station(pps={"noise": rate, "missing": 1.0}, duration=100, seed=seed)
    served, snapshot = run_within_bounds(simulation)
    assert served[0][0] < 13
    assert snapshot.selected == MESSAGES
    assert snapshot.sources[1].verdicts.keys() == {"rejected/irregular"}
    assert "at irregular times" in snapshot.sources[1].reason


@pytest.mark.parametrize("rate", [1, 3, 6])
def test_pulses_lead_although_random_edges_come_with_them(build_station, rate):
    _, snapshot = run_within_bounds(build_station(pps={"noise": rate}, duration=200, seed=rate))
    assert snapshot.selected == PULSES


@pytest.mark.parametrize("bad", [{"interval": 0.2}, {"interval": 1.04}, {"noise": 4.0, "silent": True}])
def test_a_line_that_becomes_good_leads(build_station, bad):
    simulation = build_station(duration=120)
    change(simulation, 0.0, **bad)
    change(simulation, 60.0, **GOOD)
    _, snapshot = run_within_bounds(simulation)
    assert snapshot.selected == PULSES
    texts = [entry.text for entry in simulation.journal]
    assert any("keep their rate now" in text for text in texts)
    assert not any("Holdover" in text for text in texts), "messages lead until the pulses do"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "bad",
    [{"interval": 0.5}, {"interval": 0.2}, {"interval": 1.04}, *({"noise": n, "silent": True} for n in (1, 3, 6))],
)
def test_a_line_that_turns_bad_stops_leading(build_station, bad, seed):
    simulation = build_station(duration=200, engine={"holdover_budget": 10e-6}, seed=seed)
    change(simulation, 100.0, **bad)
    _, snapshot = run_within_bounds(simulation)
    assert snapshot.selected != PULSES
    assert any("PPS(0) is not used" in entry.text for entry in simulation.journal)


@pytest.mark.parametrize("rate", [2, 5, 10, 100])
def test_the_rate_that_is_configured_leads(build_station, rate):
    """Servers say which of the pulses begins the second."""
    simulation = build_station(pps={"interval": 1 / rate, "rate_hz": rate}, servers="ab", duration=120)
    _, snapshot = run_within_bounds(simulation)
    assert snapshot.selected == PULSES
    assert max(abs(error) for time, error, _ in promises(simulation) if time > 60) < 10e-6


def test_messages_of_a_stated_latency_number_pulses_of_a_higher_rate(build_station):
    gps = {"latency": 0.12, "assumed_latency": 0.122, "accuracy": 0.01}
    _, snapshot = run_within_bounds(build_station(pps={"interval": 0.2, "rate_hz": 5}, gps=gps, duration=120))
    assert snapshot.selected == PULSES


def test_messages_of_unknown_latency_number_no_pulses_of_a_higher_rate(build_station):
    _, snapshot = run_within_bounds(build_station(pps={"interval": 0.2, "rate_hz": 5}, duration=120))
    assert snapshot.selected == MESSAGES
    assert "offset_secs" in snapshot.sources[1].reason


def test_one_pulse_a_second_is_not_used_where_ten_are_configured(build_station):
    _, snapshot = run_within_bounds(build_station(pps={"rate_hz": 10}, duration=60))
    assert snapshot.selected == MESSAGES
    assert "shows 1 pulse a second, where 10 pulses a second must come" in snapshot.sources[1].reason
