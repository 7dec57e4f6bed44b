"""Which second is it? Whatever a serial line does to the messages, once locked no second is ever counted wrong."""

import math
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt
from ntp_usg.simulate.simulation import Simulation

DURATION = 170
SPILLING = {"latency": 0.95, "jitter": 0.03}
"""A burst at 9600 baud that ends after the next pulse; now and then it even begins there."""


HARD_TO_TELL = 0.0, 30e-3
"""Messages as soon as their second begins, and scattered: it takes a minute or two to see that none comes sooner."""


def wrong_seconds(simulation: Simulation) -> tuple[int, int]:
    """Of the seconds for which time was promised: how many were counted wrong, and how many there were."""
    simulation.run()
    errors = [error for _, error, bound, _ in simulation.recorders[0].points() if not math.isnan(bound)]
    return sum(abs(error) > 0.4 for error in errors), len(errors)


def event(what: str, at: float, lasts: float | None = None, **keys: Any) -> dict[str, Any]:
    return {"at": at, "what": what, "host": "station", **keys, **({"for": lasts} if lasts else {})}


FAULTS: dict[str, dict[str, Any]] = {
    "none": {},
    "gaps in the messages": {"gps": {"missing": 0.3}},
    "missing pulses": {"pps": {"missing": 0.1}},
    "spurious pulses": {"pps": {"glitches": 0.1}},
    "both edges": {"pps": {"width": 0.1}},
    "both edges, a long pulse": {"pps": {"width": 0.45}},
    "messages a second late for a moment": {"events": [event("slow", at, 3, seconds=1.0) for at in (60, 100, 140)]},
    "messages that name another second for a moment": {
        "events": [event("wrong_second", at, 3, seconds=sign) for at, sign in ((60, 1), (100, -1), (140, 1))]
    },
    "the receiver starts again": {
        "events": [event("lose", at, 15, thing=thing) for at in (60, 110) for thing in ("pulses", "messages")]
    },
    "the line becomes slow": {"events": [event("slow", 80, seconds=0.45)]},
    "the line becomes slower than a second": {"events": [event("slow", 80, seconds=1.0)]},
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("jitter", [1e-3, 30e-3])
@pytest.mark.parametrize("latency", [0.0, 0.1, 0.47, 0.5, 0.9, 0.95])
def test_no_second_is_counted_wrong(build_station, latency, jitter, fault):
    gps = {"latency": latency, "jitter": jitter} | fault.get("gps", {})
    simulation = build_station(*fault.get("events", ()), gps=gps, pps=fault.get("pps"), duration=DURATION)
    wrong, promised = wrong_seconds(simulation)
    assert wrong == 0
    if (latency, jitter) != HARD_TO_TELL:
        assert promised > DURATION * 0.8


@pytest.mark.parametrize("seed", range(20))
def test_bursts_that_spill_past_the_next_pulse_number_the_right_one(build_station, seed):
    wrong, promised = wrong_seconds(build_station(gps=SPILLING, duration=60, seed=seed))
    assert wrong == 0
    assert promised > 40


@pytest.mark.fault(
    group="Time",
    kind="A receiver's messages end around the next pulse, now before it and now after it.",
    noticed="The pulses stay without numbers until enough messages have come to tell which pulse they belong to.",
    served="No time until then, at most some minutes; then the right second.",
)
@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("latency", "jitter"), [(0.99, 50e-3), (0.99, 0.1), (0.97, 0.1), HARD_TO_TELL])
def test_messages_that_scatter_around_a_pulse_number_the_right_one_or_none(build_station, latency, jitter, seed):
    simulation = build_station(gps={"latency": latency, "jitter": jitter}, duration=240, seed=seed)
    wrong, promised = wrong_seconds(simulation)
    assert wrong == 0
    assert promised > 60


@pytest.mark.parametrize("early", [0.02, 0.3, 0.9])
def test_messages_that_announce_the_next_pulse_number_it_by_a_negative_latency(build_station, early):
    gps = {"latency": 1 - early, "jitter": 3e-3, "assumed_latency": -early}
    simulation = build_station(event("wrong_second", 0, seconds=1), gps=gps, duration=200)
    wrong, promised = wrong_seconds(simulation)
    receiver, pps = simulation.host("station").engine.snapshot().sources
    assert wrong == 0
    assert promised > 180
    assert receiver.message_latency == pytest.approx(-early, abs=0.01)
    assert "rejected/numbering_disputed" not in pps.verdicts


def test_a_stated_latency_of_several_seconds_is_respected(build_station):
    simulation = build_station(gps={"latency": 3.62, "jitter": 3e-3, "assumed_latency": 3.6}, duration=200)
    wrong, promised = wrong_seconds(simulation)
    assert wrong == 0
    assert promised > 180
    assert "rejected/numbering_disputed" not in simulation.host("station").engine.snapshot().sources[1].verdicts


@pytest.mark.parametrize(("fraction", "rate"), [(0.3, 1), (0.0, 10), (0.09, 10), (0.95, 1), (0.0, 5)])
def test_instants_off_the_whole_second_number_pulses(build_station, fraction, rate):
    simulation = build_station(gps={"fraction": fraction, "rate": rate}, duration=60)
    wrong, promised = wrong_seconds(simulation)
    assert wrong == 0
    assert promised > 40
    assert simulation.host("station").engine.snapshot().selected == "PPS(0)"


@pytest.mark.parametrize("latency", [0.49, 0.95])
def test_a_latency_that_is_near_another_pulse_is_reported_with_its_value(build_station, latency):
    simulation = build_station(gps={"latency": latency, "jitter": 1e-3}, duration=60)
    simulation.run()
    gps, pps = simulation.host("station").engine.snapshot().sources
    assert [trouble.doubt for trouble in gps.doubts] == [Doubt.LATENCY]
    assert gps.doubts[0].text == f"messages come {latency:.2f} s after their second"
    assert gps.trust > 0.5
    assert pps.doubts == ()


def test_a_plain_latency_is_no_reason_for_doubt(build_station):
    simulation = build_station(duration=60)
    simulation.run()
    assert [source.doubts for source in simulation.host("station").engine.snapshot().sources] == [(), ()]


@pytest.mark.parametrize("latency", [1.12, 1.6])
def test_messages_later_than_a_second_are_put_right_by_two_servers(build_station, latency):
    simulation = build_station(gps={"latency": latency}, servers="ab", duration=240)
    wrong, _ = wrong_seconds(simulation)
    snapshot = simulation.host("station").engine.snapshot()
    assert wrong == 0
    assert snapshot.selected == "PPS(0)"
    assert snapshot.sources[0].message_latency == pytest.approx(latency, abs=0.01)


def test_messages_later_than_a_second_are_put_right_by_the_latency_that_is_stated(build_station):
    simulation = build_station(gps={"latency": 1.12, "assumed_latency": 1.1}, duration=60)
    assert wrong_seconds(simulation)[0] == 0


def test_messages_later_than_a_second_cannot_be_known_alone(build_station):
    """What no receiver can tell: docs/explanation/trust.md."""
    wrong, promised = wrong_seconds(build_station(gps={"latency": 1.12}, duration=60))
    assert wrong == promised > 0


def test_a_line_that_becomes_slow_is_measured_anew(build_station):
    simulation = build_station(event("slow", 60, seconds=0.5), gps={"jitter": 1e-3}, duration=400)
    simulation.run()
    receiver = simulation.host("station").engine.snapshot().sources[0]
    assert receiver.message_latency == pytest.approx(0.62, abs=0.01)
    assert any("come 0.62 s after their second from now on" in entry.text for entry in simulation.journal)
    assert receiver.trust > 0.5


def test_a_server_behind_a_slow_link_numbers_pulses(simulate):
    """A round trip of 400 ms, as over a busy mobile network: its bound leaves no doubt which second it is."""
    host = {"name": "station", "pps": [{}], "source": [{"name": "a", "iburst": True}]}
    link = {"between": ("station", "a"), "delay": 0.2, "jitter": 0.01}
    _, simulation = simulate(host=[host], server=[{"name": "a"}], link=[link], duration=120, settled=60)
    assert simulation.host("station").engine.snapshot().selected == "PPS(0)"
    assert wrong_seconds(simulation)[0] == 0
