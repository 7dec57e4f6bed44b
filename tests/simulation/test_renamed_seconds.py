"""A receiver moves to other seconds by itself, while its pulses keep their phase: a correction, or a fault?"""

import math
from collections.abc import Iterable
from typing import Any

import pytest

from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation

PATIENCE = 120
"""Within so many seconds of the receiver's correction the wrong second must not be served any more."""
Table = dict[str, Any]


def rename(at: float, lasts: float | None = None, seconds: int = 3, receiver: str = "") -> Table:
    table = {"at": at, "what": "wrong_second", "host": "station", "seconds": seconds, "receiver": receiver}
    return table | ({"for": lasts} if lasts else {})


def build(
    events: Iterable[Table],
    duration: float,
    *,
    pulses: bool = True,
    servers: str = "",
    receivers: tuple[str, ...] = ("GPS(0)",),
) -> Simulation:
    station = {
        "name": "station",
        "oscillator": {"offset": 1.5, "frequency_ppm": 20, "wander_ppb": 1},
        "pps": [{}] if pulses else [],
        "gps": [{"name": name, "latency": 0.12 + 0.05 * index} for index, name in enumerate(receivers)],
        "source": [{"name": name, "iburst": True} for name in servers],
    }
    return Simulation(
        Scenario.model_validate(
            {
                "duration": duration,
                "probe": 1,
                "knots": 1,
                "host": [station],
                "server": [{"name": name} for name in servers],
                "link": [{"between": ("station", name), "jitter": 100e-6} for name in servers],
                "event": list(events),
            }
        )
    )


def wrong_times(simulation: Simulation) -> list[float]:
    """The seconds of the run for which another time than the right one was promised."""
    simulation.run()
    points = simulation.recorders[0].points()
    return [time for time, error, bound, _ in points if not math.isnan(bound) and abs(error) > bound]


def served_times(simulation: Simulation) -> list[float]:
    return [time for time, _, bound, _ in simulation.recorders[0].points() if not math.isnan(bound)]


@pytest.mark.fault(
    group="Time",
    kind="A receiver names wrong seconds after a cold start, by an old count of leap seconds, then corrects itself.",
    noticed="Messages that move by whole seconds while the pulses keep their phase; at once with a server that agrees.",
    served="The wrong second for another minute, then no time; the right one within minutes.",
)
@pytest.mark.parametrize(("seconds", "pulses"), [(1, True), (-1, True), (3, True), (18, True), (-1, False), (3, False)])
def test_a_correction_ends_the_wrong_second_within_two_minutes(seconds, pulses):
    simulation = build([rename(0, 180, seconds)], 700, pulses=pulses)
    assert max(wrong_times(simulation)) < 180 + PATIENCE
    assert served_times(simulation)[-1] > 690
    assert any("now names seconds that are" in entry.text for entry in simulation.journal)


@pytest.mark.parametrize("seconds", [1, -1, 3, 18])
def test_a_corrected_receiver_and_one_server_are_a_majority_against_the_clock(seconds):
    simulation = build([rename(0, 180, seconds)], 260, servers="a")
    assert max(wrong_times(simulation)) < 200
    assert min(time for time in served_times(simulation) if time > 200) < 215


def test_two_receivers_that_correct_themselves_are_a_majority():
    simulation = build([rename(0, 180)], 260, receivers=("GPS(0)", "GPS(1)"))
    assert max(wrong_times(simulation)) < 200
    assert served_times(simulation)[-1] > 255


@pytest.mark.parametrize("liar", ["GPS(0)", "GPS(1)"])
def test_of_two_receivers_that_disagree_from_the_start_neither_is_served_for_long(liar):
    simulation = build([rename(0, 1000, receiver=liar)], 1120, receivers=("GPS(0)", "GPS(1)"))
    assert max(wrong_times(simulation), default=0) < PATIENCE
    assert not [time for time in served_times(simulation) if PATIENCE < time < 1000]
    assert served_times(simulation)[-1] > 1110


def test_one_of_two_receivers_that_moves_later_is_outvoted():
    simulation = build([rename(1000, 200, receiver="GPS(0)")], 1300, receivers=("GPS(0)", "GPS(1)"))
    assert wrong_times(simulation) == []
    assert len(served_times(simulation)) > 1280


@pytest.mark.parametrize("pulses", [True, False], ids=["pulses", "no pulses"])
def test_a_receiver_that_was_right_for_long_stops_the_service_but_not_for_good(pulses):
    """A restart with an old count of leap seconds: they are told every 12.5 minutes, and until then it is wrong."""
    simulation = build([rename(1000, 750)], 1900, pulses=pulses)
    assert wrong_times(simulation) == []
    assert not [time for time in served_times(simulation) if 1000 + PATIENCE < time < 1750]
    assert served_times(simulation)[-1] > 1890


def test_a_receiver_alone_that_insists_for_twice_as_long_as_it_was_right_before_is_followed():
    """Nobody can see from outside whether it was wrong before or is now; until then no time is served."""
    simulation = build([rename(300, 1e6, 1)], 1000)
    wrong = wrong_times(simulation)
    assert min(wrong) > 300 + 2 * 290
    assert not [time for time in served_times(simulation) if 300 + PATIENCE < time < min(wrong)]
    assert served_times(simulation)[-1] > 990


def test_a_server_that_confirms_the_clock_keeps_it_served():
    simulation = build([rename(1000, 300)], 1400, servers="a")
    assert wrong_times(simulation) == []
    assert len(served_times(simulation)) > 1380


@pytest.mark.parametrize("pulses", [True, False], ids=["pulses", "no pulses"])
def test_a_receiver_that_flaps_between_two_names_is_served_no_longer(pulses):
    simulation = build([rename(60 + 60 * number, 30, 1) for number in range(10)], 600, pulses=pulses)
    assert wrong_times(simulation) == []
    assert not [time for time in served_times(simulation) if time > 240]


def test_names_that_move_too_far_to_be_followed_stop_the_service_and_say_what_to_do():
    simulation = build([rename(0, 180, 7 * 86_400)], 720)
    assert max(wrong_times(simulation)) < 180 + PATIENCE
    assert served_times(simulation)[-1] < 180 + PATIENCE
    (told,) = [entry.text for entry in simulation.journal if "restart to accept it" in entry.text]
    assert "-604800 s" in told


@pytest.mark.parametrize("jump", [0.3, 0.7, 1.3])
def test_forged_signals_that_move_the_pulses_too_are_held_over(jump):
    spoof = {"at": 400, "what": "spoof", "host": "station", "jump": jump}
    simulation = build([spoof], 700)
    assert wrong_times(simulation) == []
    assert len(served_times(simulation)) > 685
