"""How often servers are asked, how soon that gives the time, and what they may say about it."""

import pytest

from ntp_usg.core.associations.settings import AssociationSettings


@pytest.mark.parametrize(
    ("poll", "rms"), [(0, 10e-6), (1, 10e-6), (2, 15e-6), (4, 30e-6), (6, 60e-6), (8, 150e-6), (10, 300e-6)]
)
def test_a_fixed_poll_is_kept_and_a_faster_one_is_more_exact(follow, poll, rms):
    interval = 2**poll
    long = {"duration": max(1200, 50 * interval), "settled": max(400, 16 * interval), "knots": max(4, interval // 4)}
    figures, _ = follow(source={"min_poll": poll, "max_poll": poll}, **long)
    assert figures.rms_error < rms
    assert 3400 / interval * 0.95 < figures.packets_per_hour < 3600 / interval * 1.2
    assert figures.bound_violated == 0


def test_a_question_an_hour_still_keeps_the_promise(follow):
    slow = {"duration": 120_000, "settled": 45_000, "knots": 256, "probe": 512}
    figures, _ = follow(source={"min_poll": 12, "max_poll": 12}, **slow)
    assert figures.maximum_error < 3e-3
    assert figures.bound_violated == 0


def test_polls_stay_within_their_limits(follow):
    settings = AssociationSettings(name="a", min_poll=5, max_poll=8)
    figures, simulation = follow(source={"min_poll": 5, "max_poll": 8}, duration=20_000, settled=5000)
    assert figures.rms_error < 60e-6
    (source,) = simulation.host("client").engine.snapshot().sources
    assert 2**settings.min_poll <= source.poll_interval <= 2**settings.max_poll


def test_a_client_that_is_content_asks_ever_more_rarely(follow):
    figures, simulation = follow(link={"jitter": 1e-3}, duration=50_000, settled=20_000, probe=64)
    (source,) = simulation.host("client").engine.snapshot().sources
    assert source.poll_interval >= 256
    assert figures.packets_per_hour < 20
    assert figures.bound_violated == 0


@pytest.mark.parametrize("seed", range(1, 5))
def test_a_burst_gives_the_time_within_seconds(follow, seed):
    figures, _ = follow(source={"iburst": True}, duration=600, settled=20, probe=1, knots=1, seed=seed)
    assert figures.time_to_lock < 15
    assert figures.steps == 1
    assert figures.maximum_error < 5e-3
    assert figures.bound_violated == 0


def test_bursts_at_each_poll_lock_sooner_and_hold_closer(follow):
    slow = {"min_poll": 8, "max_poll": 8}
    world = {"duration": 20_000, "settled": 5000}
    single, _ = follow(source=slow, **world)
    burst, _ = follow(source=slow | {"burst": True}, **world)
    assert burst.time_to_lock < 0.5 * single.time_to_lock
    assert burst.rms_error < 0.7 * single.rms_error
    assert burst.packets_per_hour == pytest.approx(4 * single.packets_per_hour, rel=0.1)
    assert burst.bound_violated == single.bound_violated == 0


def test_a_server_that_asks_for_peace_gets_it(follow):
    event = {"at": 400, "what": "claim", "server": "a", "stratum": 0, "leap": 3, "for": 500}
    polls = {"min_poll": 4, "max_poll": 10}
    _, simulation = follow({"reference_id": "RATE"}, source=polls, event=[event], duration=4000)
    (source,) = simulation.host("client").engine.snapshot().sources
    assert source.verdicts["rejected/kiss_rate"] >= 2
    _, unasked = follow(source=polls, duration=4000)
    assert source.poll_interval >= 64
    assert simulation.host("client").packets < unasked.host("client").packets


@pytest.mark.parametrize("kiss", ["DENY", "RSTR"])
def test_a_server_that_forbids_to_ask_is_neither_asked_nor_followed_any_more(follow, kiss):
    event = {"at": 2000, "what": "claim", "server": "a", "stratum": 0, "leap": 3, "for": 500}
    polls = {"min_poll": 4, "max_poll": 6}
    figures, simulation = follow({"reference_id": kiss}, source=polls, event=[event], duration=4000, settled=1500)
    snapshot = simulation.host("client").engine.snapshot()
    assert snapshot.selected is None
    assert snapshot.sources[0].verdicts[f"rejected/kiss_{kiss.lower()}"] == 1
    assert "Holdover" in simulation.journal[-2].text
    assert figures.bound_violated == 0
