"""What a network does to datagrams: delays them, unevenly, sends them another way, loses them, is down."""

import pytest


@pytest.mark.parametrize("jitter", [1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("seed", [1, 2])
def test_jitter_is_averaged_down(follow, jitter, seed):
    figures, _ = follow(link={"jitter": jitter}, seed=seed)
    assert figures.rms_error < 0.6 * jitter
    assert figures.maximum_error < 1.6 * jitter
    assert figures.bound_violated == 0
    assert figures.synchronised == 1
    assert figures.packets_per_hour < 60


@pytest.mark.parametrize("seed", [1, 2])
def test_queues_on_the_way_there_alone_cost_less_than_half_of_their_delay(follow, seed):
    """What looks at all answers alike is off by half of the mean: 500 us."""
    figures, _ = follow(link={"jitter": 1e-3, "jitter_back": 1e-5}, seed=seed)
    assert abs(figures.mean_error) < 250e-6
    assert figures.bound_violated == 0


@pytest.mark.parametrize("link", [{"jitter": 1e-3, "jitter_back": 0.0}, {"jitter": 0.0, "jitter_back": 1e-3}])
def test_queues_on_one_way_alone_are_told_from_the_clock_and_polls_stay_short(follow, link):
    """The error of each sample is half of what its delay exceeds the least: 500 us on average."""
    figures, _ = follow(link=link, source={"max_poll": 10}, duration=20_000, settled=10_000)
    assert figures.rms_error < 20e-6
    assert figures.bound_violated == 0
    assert figures.packets_per_hour > 20


def test_half_of_an_asymmetry_is_an_error_that_only_the_promise_shows(follow):
    """Nobody can measure it: 10 ms there, 2 ms back."""
    figures, _ = follow(link={"delay": 6e-3, "asymmetry": 8e-3})
    assert figures.mean_error == pytest.approx(4e-3, rel=0.05)
    assert figures.bound_violated == 0


def test_a_server_by_satellite_is_good_enough_for_its_jitter(follow):
    figures, _ = follow(link={"delay": 0.6, "jitter": 20e-3})
    assert figures.rms_error < 10e-3
    assert figures.bound_violated == 0
    assert figures.synchronised == 1


def test_a_server_too_far_away_is_never_followed(follow):
    """RFC 5905 MAXDIST: 3 s."""
    figures, simulation = follow(link={"delay": 1.6})
    assert figures.time_to_lock is None
    (source,) = simulation.host("client").engine.snapshot().sources
    assert source.verdicts["rejected/too_late"] > 5


@pytest.mark.parametrize("loss", [0.1, 0.3, 0.5])
def test_packet_loss_of_half_only_slows_the_lock(follow, loss):
    """Each way: of a loss of half three quarters of the answers stay out."""
    figures, _ = follow(link={"loss": loss})
    assert figures.rms_error < 150e-6
    assert figures.synchronised == 1
    assert figures.bound_violated == 0
    assert figures.time_to_lock < 2000


def test_bursts_of_other_traffic_are_told_from_the_clock(follow):
    """A minute in five, datagrams queue for 20 ms on average: the filter must do better than their mean."""
    busy = {"burst_interval": 300, "burst_time": 60, "burst_delay": 20e-3}
    figures, _ = follow(link=busy, duration=30_000)
    assert figures.rms_error < 1e-3
    assert figures.bound_violated == 0


@pytest.mark.parametrize("delay", [1e-3, 10e-3])
def test_a_longer_way_there_is_no_reason_to_move_at_once(follow, worst_error, delay):
    """The promise must hold for as long as the route stays: half of its delay is what may come out in the end."""
    event = {"at": 4000, "what": "route", "between": ["client", "a"], "delay": delay}
    figures, simulation = follow(event=[event])
    assert figures.bound_violated == 0
    assert worst_error(simulation, 4000, 10_000) < delay / 2 + 300e-6


def test_a_longer_way_there_moves_nothing_however_long_it_lasts(follow, worst_error):
    """For more samples than tell the lowest delay; and when the old route is back, it is known at once."""
    event = {"at": 4000, "what": "route", "between": ["client", "a"], "delay": 5e-3, "for": 6000}
    figures, simulation = follow(source={"min_poll": 4, "max_poll": 4}, event=[event], duration=12_000)
    assert worst_error(simulation, 4000, 12_000) < 100e-6
    assert figures.bound_violated == 0


def test_a_link_that_is_down_for_hours_costs_the_promise_but_little_time(follow, worst_error):
    cut = {"at": 16_000, "what": "cut", "between": ["client", "a"], "for": 18_000}
    figures, simulation = follow(
        event=[cut], duration=40_000, source={"iburst": True}, probe=64, engine={"holdover_budget": 2e-3}
    )
    phases = [entry.text.split(":")[0] for entry in simulation.journal if entry.level != "info"]
    assert [phase for phase in phases if phase != "scenario"] == ["a", "Holdover", "Unsynchronised"]
    assert figures.bound_violated == 0
    assert figures.synchronised < 1
    assert figures.steps == 1
    assert worst_error(simulation, 16_000, 36_000) < 20e-3
    assert worst_error(simulation, 37_000, 40_000) < 300e-6


def test_short_connections_are_enough(follow):
    """Twenty minutes an hour are there, forty are not, as by an old modem."""
    cuts = [{"at": 3600 * hour + 1200, "what": "cut", "between": ["client", "a"], "for": 2400} for hour in range(6)]
    figures, _ = follow(event=cuts, duration=6 * 3600, source={"iburst": True}, probe=64)
    assert figures.rms_error < 500e-6
    assert figures.bound_violated == 0
    assert figures.steps == 1


def test_the_root_delay_is_a_short_one_of_the_latest_round_trips_and_follows_the_route(follow):
    """What the others were longer by is noise of the estimate; a longer route soon shows in all of them."""
    busy = {"delay": 100e-6, "jitter": 1e-3}
    _, simulation = follow(link=busy, source={"min_poll": 4, "max_poll": 4}, duration=3000)
    assert simulation.recorders[0].host.engine.serving().root_delay < 2e-3
    event = {"at": 2700, "what": "route", "between": ["client", "a"], "delay": 10e-3}
    _, simulation = follow(link=busy, source={"min_poll": 4, "max_poll": 4}, duration=3000, event=[event])
    assert simulation.recorders[0].host.engine.serving().root_delay > 10e-3


def test_one_answer_that_was_impossibly_quick_does_not_shorten_the_root_delay(follow):
    """An asymmetry of the path could be as large as it is long, and one answer with wrong stamps is no shorter path."""
    quick = {"at": 2940, "what": "route", "between": ["client", "a"], "delay": -19.5e-3, "for": 16}
    far = {"delay": 20e-3, "jitter": 10e-6}
    _, simulation = follow(link=far, source={"min_poll": 4, "max_poll": 4}, duration=3000, event=[quick])
    assert simulation.recorders[0].host.engine.serving().root_delay > 39e-3
