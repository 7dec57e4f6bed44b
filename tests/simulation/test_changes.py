"""What happens to a running client: others set its clock, it sleeps, its servers vanish, return, change."""

from itertools import pairwise

import pytest

from ntp_usg.core.base.snapshots import SyncPhase

QUICK = {"iburst": True}


def warnings(simulation, host="client"):
    return [each.text for each in simulation.journal if each.host == host and each.level in ("warning", "error")]


@pytest.mark.parametrize("seconds", [-1e5, -0.5, 0.05, 0.5, 1e5])
def test_a_step_by_another_program_is_noticed_and_undone(follow, worst_error, seconds):
    event = {"at": 4000, "what": "step", "clock": "client", "seconds": seconds}
    _, simulation = follow(source=QUICK, event=[event])
    assert "Host clock moved by" in " ".join(warnings(simulation))
    assert worst_error(simulation, 2000, 3999) < 300e-6
    assert worst_error(simulation, 4700, 10_000) < 500e-6


def test_after_a_step_by_another_program_nothing_is_promised(follow):
    event = {"at": 4000, "what": "step", "clock": "client", "seconds": 0.5}
    figures, _ = follow(source=QUICK, event=[event], probe=1)
    assert figures.bound_violated == 0
    assert figures.synchronised < 1


def test_the_machine_slept_and_its_clock_went_wrong(follow, worst_error):
    event = {"at": 4000, "what": "suspend", "host": "client", "for": 2000, "clock_error": 0.5}
    _, simulation = follow(source=QUICK, event=[event])
    assert "Host clock moved by" in " ".join(warnings(simulation))
    assert worst_error(simulation, 6700, 10_000) < 500e-6


@pytest.mark.parametrize("hours", [1, 8])
def test_the_machine_slept_and_its_clock_went_on(follow, worst_error, hours):
    event = {"at": 4000, "what": "suspend", "host": "client", "for": 3600 * hours}
    figures, simulation = follow(source=QUICK, event=[event], duration=10_000 + 3600 * hours)
    assert worst_error(simulation, 4700 + 3600 * hours, 10_000 + 3600 * hours) < 500e-6
    assert figures.bound_violated == 0


def test_a_server_that_is_set_anew_is_followed_after_a_while(follow, worst_error):
    """With one server there is nobody to doubt it; but one strange answer is not enough."""
    event = {"at": 4000, "what": "step", "clock": "a", "seconds": 0.5}
    figures, simulation = follow(source=QUICK, event=[event])
    assert worst_error(simulation, 2000, 4050) < 500e-6
    assert figures.steps == 2
    assert figures.mean_error > 0.2


@pytest.mark.parametrize("engine", [{"step_limit": 1}, {"step_threshold": 1.0}])
def test_where_steps_are_not_allowed_the_clock_is_slewed(follow, engine):
    """At 500 ppm, beside what corrects its crystal: 300 ms take ten minutes. Answers do not wait for that."""
    event = {"at": 4000, "what": "step", "clock": "a", "seconds": 0.3}
    figures, simulation = follow(source=QUICK, event=[event], engine=engine)
    assert figures.steps == 1
    errors = list(simulation.recorders[0].clock_errors)
    assert errors[-1] == pytest.approx(0.3, abs=1e-3)
    assert max(abs(after - before) for before, after in pairwise(errors[20:])) < 16 * 550e-6


def test_a_server_that_leaves_all_reason_is_not_followed(follow):
    event = {"at": 4000, "what": "step", "clock": "a", "seconds": 2000}
    figures, simulation = follow(source=QUICK, event=[event])
    assert figures.maximum_error < 5e-3
    assert figures.steps == 1
    assert "panic" in warnings(simulation)[-1]


@pytest.mark.parametrize("claim", [{"leap": 3}, {"stratum": 16}, {"stratum": 0, "leap": 3}])
def test_a_server_that_is_no_longer_synchronised_is_left_and_found_again(follow, claim):
    event = {"at": 4000, "what": "claim", "server": "a", "for": 3000} | claim
    figures, simulation = follow(source=QUICK, event=[event])
    assert any("Holdover" in text for text in warnings(simulation))
    assert simulation.host("client").engine.snapshot().phase is SyncPhase.SYNCHRONISED
    assert figures.maximum_error < 2e-3
    assert figures.bound_violated == 0
    assert figures.steps == 1


def test_a_change_of_stratum_is_passed_on(follow):
    event = {"at": 4000, "what": "claim", "server": "a", "stratum": 4}
    figures, simulation = follow(source=QUICK, event=[event])
    assert simulation.host("client").engine.serving().stratum == 5
    assert figures.maximum_error < 300e-6


def test_while_one_server_is_away_the_other_keeps_the_time(follow):
    event = {"at": 3000, "what": "cut", "between": ["client", "a"], "for": 3000}
    figures, simulation = follow({}, {}, source=QUICK, event=[event])
    assert figures.synchronised == 1
    assert figures.maximum_error < 300e-6
    assert [source.healthy for source in simulation.host("client").engine.snapshot().sources] == [True, True]
    assert not any("Holdover" in text for text in warnings(simulation))


def test_all_servers_away_at_different_times_are_never_missed(follow):
    events = [
        {"at": 2000 + 3000 * index, "what": "cut", "between": ["client", name], "for": 4000}
        for index, name in enumerate("abc")
    ]
    figures, _ = follow({}, {}, {}, source=QUICK, event=events, duration=14_000)
    assert figures.synchronised == 1
    assert figures.maximum_error < 300e-6
    assert figures.bound_violated == 0


def test_servers_that_are_not_there_at_first_are_found(follow):
    event = {"at": 0, "what": "cut", "between": ["client", "a"], "for": 3000}
    figures, _ = follow(source=QUICK, event=[event], settled=6000)
    assert 3000 < figures.time_to_lock < 4200
    assert figures.maximum_error < 500e-6
