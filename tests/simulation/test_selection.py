"""Whom a client believes: honest servers and liars, in every mixture, and what it was told of them."""

import pytest

from ntp_usg.core.base.snapshots import SyncPhase, Tally
from ntp_usg.simulate.simulation import Simulation

QUICK = {"iburst": True}
LIAR = {"oscillator": {"offset": 0.05}}


def tallies(simulation: Simulation, host: str = "client") -> dict[str, Tally]:
    return {source.name: source.tally for source in simulation.host(host).engine.snapshot().sources}


@pytest.mark.parametrize(("good", "liars"), [(2, 1), (3, 1), (3, 2), (5, 3)])
def test_a_minority_of_liars_is_found_out(follow, good, liars):
    liar = [{"oscillator": {"offset": 0.05 * (-1) ** index}} for index in range(liars)]
    figures, simulation = follow(*[{}] * good, *liar, source=QUICK)
    assert figures.rms_error < 100e-6
    assert figures.bound_violated == 0
    found = [name for name, tally in tallies(simulation).items() if tally is Tally.FALSETICKER]
    assert found == list("abcdefgh"[good : good + liars])


@pytest.mark.parametrize("liar", [{"frequency_ppm": 5}, {"frequency_ppm": -20, "offset": 1e-3}])
def test_a_server_that_drifts_away_is_noticed_when_it_matters(follow, liar):
    figures, simulation = follow({}, {}, {"oscillator": liar}, source=QUICK)
    assert figures.maximum_error < 2e-3
    assert figures.bound_violated == 0
    assert tallies(simulation)["c"] is Tally.FALSETICKER


def test_a_majority_that_lies_alike_wins(follow):
    """No algorithm can know better: this is why four sources, of different origin, are the least to be safe."""
    figures, simulation = follow({}, LIAR, LIAR, LIAR, source=QUICK)
    assert figures.mean_error == pytest.approx(0.05, abs=1e-3)
    assert tallies(simulation)["a"] is Tally.FALSETICKER


def test_a_good_server_that_is_set_wrong_is_left_at_once(follow):
    figures, simulation = follow(
        {}, {}, {}, source=QUICK, event=[{"at": 4000, "what": "step", "clock": "a", "seconds": 0.3}]
    )
    assert figures.maximum_error < 300e-6
    assert figures.bound_violated == 0
    assert figures.steps == 1
    assert tallies(simulation)["a"] is Tally.FALSETICKER


def test_the_clock_is_not_set_by_the_quicker_of_two_that_contradict_each_other(follow):
    figures, simulation = follow({}, LIAR, source=QUICK)
    assert figures.time_to_lock is None
    assert figures.steps == 0
    assert simulation.host("client").engine.snapshot().phase is SyncPhase.LOCKING


def test_without_a_majority_of_one_opinion_the_clock_is_not_set(follow):
    liars = [{"oscillator": {"offset": offset}} for offset in (0.05, 0.1, -0.1)]
    figures, _ = follow({}, {}, *liars, source=QUICK)
    assert figures.time_to_lock is None
    assert figures.steps == 0


def test_of_two_that_contradict_each_other_later_none_is_followed(follow, worst_error):
    event = {"at": 4000, "what": "step", "clock": "a", "seconds": 0.3}
    _, simulation = follow({}, {}, source=QUICK, event=[event])
    snapshot = simulation.host("client").engine.snapshot()
    assert snapshot.selected is None
    assert snapshot.phase in (SyncPhase.HOLDOVER, SyncPhase.UNSYNCHRONISED)
    assert worst_error(simulation, 2000, 10_000) < 5e-3


def test_a_preferred_server_leads_alone_while_it_is_honest(follow):
    far = {"source": {"prefer": True}, "link": {"delay": 1e-3}}
    honest, simulation = follow({"oscillator": {"offset": 2e-4}}, far, source=QUICK)
    assert simulation.host("client").engine.snapshot().selected == "b"
    assert abs(honest.mean_error) < 100e-6
    lying, simulation = follow({}, {}, LIAR | {"source": {"prefer": True}}, source=QUICK)
    assert lying.rms_error < 100e-6
    assert tallies(simulation)["c"] is Tally.FALSETICKER


def test_a_trusted_server_is_not_outvoted(follow):
    figures, simulation = follow({"source": {"trust": True}}, LIAR, LIAR, source=QUICK)
    assert figures.rms_error < 100e-6
    assert tallies(simulation) == {"a": Tally.SELECTED, "b": Tally.FALSETICKER, "c": Tally.FALSETICKER}


def test_without_the_required_server_nobody_is_followed(follow):
    cut = {"at": 3000, "what": "cut", "between": ["client", "a"]}
    figures, simulation = follow({"source": {"require": True}}, {}, source=QUICK, event=[cut])
    snapshot = simulation.host("client").engine.snapshot()
    assert snapshot.phase is SyncPhase.HOLDOVER
    assert snapshot.selected is None
    assert figures.bound_violated == 0


def test_a_server_marked_noselect_is_watched_only(follow):
    figures, simulation = follow({}, LIAR | {"source": {"noselect": True}}, source=QUICK)
    assert figures.rms_error < 100e-6
    watched = simulation.host("client").engine.snapshot().sources[1]
    assert watched.tally is Tally.REJECTED
    assert watched.offset == pytest.approx(0.05, abs=2e-3)


def test_fewer_than_min_sources_are_not_believed(follow):
    figures, _ = follow({}, source=QUICK, engine={"selection": {"min_sources": 2}})
    assert figures.time_to_lock is None
    assert figures.steps == 0


def test_falling_below_min_sources_ends_in_holdover(follow):
    cut = {"at": 3000, "what": "cut", "between": ["client", "a"]}
    figures, simulation = follow({}, {}, {}, source=QUICK, engine={"selection": {"min_sources": 3}}, event=[cut])
    assert figures.bound_violated == 0
    assert simulation.host("client").engine.snapshot().phase is SyncPhase.HOLDOVER


def test_the_better_stratum_leads_where_all_else_is_alike(follow):
    low = {"stratum": 3, "root_delay": 2e-3, "root_dispersion": 1e-3}
    figures, simulation = follow(low, {}, source=QUICK)
    snapshot = simulation.host("client").engine.snapshot()
    assert snapshot.selected == "b"
    assert snapshot.serving.stratum == 2
    assert figures.bound_violated == 0


@pytest.mark.parametrize("seed", [1, 2])
def test_more_servers_are_better_than_one(follow, seed):
    noisy = {"jitter": 1e-3}
    alone, _ = follow(link=noisy, source=QUICK, seed=seed, duration=20_000)
    together, _ = follow(*[{}] * 6, link=noisy, source=QUICK, seed=seed, duration=20_000)
    assert together.rms_error < alone.rms_error
    assert together.bound_violated == 0


@pytest.mark.fault(
    group="Servers",
    kind="The server that is followed falls silent; another one is healthy but farther away.",
    noticed="One line: the clock runs by itself, with the other server in reserve. The phase stays synchronised.",
    served="The clock's own time within a growing bound, then the other server's time; never unsynchronised.",
)
def test_a_farther_server_stands_in_reserve_and_leads_without_a_gap(follow):
    far = {"link": {"delay": 30e-3, "jitter": 3e-3}}
    cut = {"at": 5000, "what": "cut", "between": ("client", "a")}
    figures, simulation = follow({}, far, source=QUICK, event=[cut], duration=40_000, settled=1000)
    assert (figures.bound_violated, figures.synchronised) == (0, 1)
    texts = [entry.text for entry in simulation.journal if entry.host == "client"]
    assert any(text.startswith("The clock runs by itself, b is in reserve.") for text in texts)
    assert not any(text.startswith(("Holdover", "Unsynchronised")) for text in texts)
    snapshot = simulation.host("client").engine.snapshot()
    assert (snapshot.phase, snapshot.selected) == (SyncPhase.SYNCHRONISED, "b")


@pytest.mark.fault(
    group="Servers",
    kind="All servers are at stratum 15, the last one.",
    noticed="The status says unsynchronised, and the server's reason says that it is at the last stratum.",
    served="Answers that say unsynchronised.",
)
def test_behind_servers_of_the_last_stratum_the_phase_says_what_the_answers_say(follow):
    _, simulation = follow({"stratum": 15}, source=QUICK, duration=2000, settled=500)
    snapshot = simulation.host("client").engine.snapshot()
    assert (snapshot.phase, snapshot.serving.synchronised) == (SyncPhase.UNSYNCHRONISED, False)
    assert snapshot.sources[0].reason.startswith("Its stratum is 15, the last: behind it we are unsynchronised.")
