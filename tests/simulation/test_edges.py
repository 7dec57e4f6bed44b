"""Pulse lines that capture the end of the pulse: no second is served that is off by the width of the pulse."""

import math
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.samples import PulseEnd
from ntp_usg.simulate.simulation import Simulation

MESSAGES, PULSES = "GPS_NMEA(0)", "PPS(0)"
WIDTHS = [0.1, 0.2, 0.5]
SOON, SLOW = {"latency": 0.08, "jitter": 4e-3}, {"latency": 0.95, "jitter": 4e-3}


def run_within_bounds(simulation: Simulation) -> tuple[int, Any]:
    """Run; no served error may exceed its bound. How often time was promised, and the state at the end."""
    simulation.run()
    served = [point[:3] for point in simulation.recorders[0].points() if not math.isnan(point[2])]
    assert not [point for point in served if abs(point[1]) > point[2]]
    return len(served), simulation.host("station").engine.snapshot()


@pytest.mark.fault(
    group="Pulses",
    kind="The wiring is inverted, so that the captured edge is the end of the pulse.",
    noticed="The record of both edges shows it: log and `explain` say that the edge ends the pulse, and what to set.",
    served="Time by the messages alone, with their error bound of 0.2 s.",
)
@pytest.mark.parametrize("width", WIDTHS[:2])
@pytest.mark.parametrize("latency", [0.08, 0.15, 0.19])
def test_an_edge_that_is_known_to_end_the_pulse_is_not_used(build_station, width, latency):
    simulation = build_station(
        pps={"delay": width, "end": "end"}, gps={"latency": latency, "jitter": 1e-3}, duration=60
    )
    _, snapshot = run_within_bounds(simulation)
    assert snapshot.selected == MESSAGES
    assert snapshot.sources[1].verdicts["rejected/wrong_edge"] > 50
    assert "set capture_mode to the other edge" in snapshot.sources[1].reason
    assert any("PPS(0) is not used: PPS(0): the captured edge ends" in entry.text for entry in simulation.journal)


@pytest.mark.fault(
    group="Pulses",
    kind="The end of each pulse is captured, and nothing shows the other end.",
    noticed="The doubt `edge` is raised: the messages seem to come half a second late or more.",
    served="No time, until the latency or the edge is configured, or servers tell.",
)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("end", ["unknown", "even"])
def test_nothing_is_promised_where_the_end_of_the_pulse_cannot_be_told(build_station, width, end):
    promised, snapshot = run_within_bounds(build_station(pps={"delay": width, "end": end}, gps=SOON, duration=120))
    assert promised == 0
    assert [trouble.doubt for trouble in snapshot.sources[1].doubts] == [Doubt.EDGE]


def test_slow_messages_are_doubted_too_where_the_end_of_the_pulse_cannot_be_told(build_station):
    """They look exactly like messages of the next second beside a wrong edge."""
    promised, _ = run_within_bounds(build_station(pps={"end": "unknown"}, gps=SLOW, duration=120))
    assert promised == 0


@pytest.mark.parametrize(
    ("pps", "gps"),
    [({"end": "unknown"}, SLOW | {"assumed_latency": 0.9}), ({"end": "begin"}, SLOW), ({"end": "unknown"}, SOON)],
)
def test_an_edge_that_can_be_told_leads(build_station, pps, gps):
    promised, snapshot = run_within_bounds(build_station(pps=pps, gps=gps, duration=60))
    assert promised > 40
    assert snapshot.selected == PULSES


def test_a_stated_latency_shows_that_a_pulse_of_half_a_second_is_captured_at_its_end(build_station):
    gps = SOON | {"assumed_latency": 0.082}
    promised, _ = run_within_bounds(build_station(pps={"delay": 0.5, "end": "even"}, gps=gps, duration=60))
    assert promised == 0


@pytest.mark.parametrize("servers", ["a", "ab"])
def test_servers_lead_where_the_edge_is_wrong(build_station, servers):
    simulation = build_station(pps={"delay": 0.1, "end": "unknown"}, gps=SOON, servers=servers, duration=300)
    promised, snapshot = run_within_bounds(simulation)
    assert promised > 280
    assert snapshot.serving.stratum == 2


def test_servers_show_that_slow_messages_are_slow(build_station):
    simulation = build_station(pps={"end": "unknown"}, gps=SLOW, servers="ab", duration=600)
    promised, snapshot = run_within_bounds(simulation)
    assert promised > 580
    assert snapshot.selected == PULSES


def test_an_edge_that_becomes_the_wrong_one_stops_leading(build_station):
    simulation = build_station(duration=300)
    (line,) = simulation.pulses("station")

    def turn() -> None:
        line.phase, line.end = 0.1, PulseEnd.END

    simulation.world.after(100.0, turn)
    _, snapshot = run_within_bounds(simulation)
    assert snapshot.selected != PULSES
    assert "set capture_mode" in snapshot.sources[1].reason
