"""Which second is it? Whatever a serial line does to the messages, once locked no second is ever counted wrong."""

import math
from typing import Any

import pytest

from ntp_usg.core.base.doubts import Doubt
from ntp_usg.simulate.simulation import Simulation

DURATION = 170
SPILLING = {"latency": 0.95, "jitter": 0.03}
"""A burst at 9600 baud that ends after the next pulse; now and then it even begins there."""


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
    assert promised > DURATION * 0.8


@pytest.mark.parametrize("seed", range(20))
def test_bursts_that_spill_past_the_next_pulse_number_the_right_one(build_station, seed):
    wrong, promised = wrong_seconds(build_station(gps=SPILLING, duration=60, seed=seed))
    assert wrong == 0
    assert promised > 40


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
