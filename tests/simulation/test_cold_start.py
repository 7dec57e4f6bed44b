"""From the first packet: a clock that is off by 0.3 s, with a frequency that nobody knows."""

import math

import pytest

FREQUENCIES = (0, 10, -10, 50, -50)
ASKED = {"iburst": True}
FINE = {"duration": 600, "settled": 60, "probe": 0.25, "knots": 1}


def settling_time(simulation, limit):
    """Seconds from the start until the error is below the limit and stays there."""
    (recorder,) = simulation.recorders
    return max((time for time, error, _, _ in recorder.points() if abs(error) >= limit), default=0.0)


def start(follow, seed, *servers, jitter=100e-6, link=None, source=None, **clock):
    crystal = {"offset": -0.3, "frequency_ppm": FREQUENCIES[seed % len(FREQUENCIES)]} | clock
    asked = ASKED | (source or {})
    return follow(*servers, clock=crystal, link={"jitter": jitter} | (link or {}), source=asked, seed=seed, **FINE)


@pytest.mark.parametrize(("jitter", "exact", "rms"), [(10e-6, 100e-6, 6e-6), (100e-6, 400e-6, 50e-6)])
@pytest.mark.parametrize("seed", range(5))
def test_a_cold_start_gives_the_time_at_the_second_answer_and_holds_it(follow, seed, jitter, exact, rms):
    figures, simulation = start(follow, seed, jitter=jitter)
    assert settling_time(simulation, exact) < 2.5
    assert figures.rms_error < rms
    assert figures.steps == 1
    assert figures.bound_violated == 0


@pytest.mark.parametrize(
    "link",
    [{"jitter": 1e-3}, {"jitter": 1e-3, "jitter_back": 0.0}, {"jitter": 1e-4, "loss": 0.3}, {"jitter": 10e-3}],
    ids=["noisy", "noisy one way", "lossy", "very noisy"],
)
@pytest.mark.parametrize("frequency", [0, 150, -450])
def test_a_cold_start_promises_nothing_that_it_does_not_keep(follow, link, frequency):
    figures, simulation = start(follow, 1, link=link, frequency_ppm=frequency)
    (recorder,) = simulation.recorders
    assert figures.time_to_lock < 30
    assert all(abs(error) <= bound for _, error, bound, _ in recorder.points() if not math.isnan(bound))


@pytest.mark.parametrize("seed", range(10))
def test_one_of_four_servers_that_is_wrong_and_answers_first_never_sets_the_clock(follow, seed):
    honest, liar = {"link": {"delay": 50e-3, "loss": 0.2}}, {"oscillator": {"offset": 1.0}}
    figures, simulation = start(follow, seed, *[dict(honest) for _ in range(3)], liar)
    assert settling_time(simulation, 1e-3) < 60
    assert figures.steps == 1
    assert figures.bound_violated == 0


def test_three_servers_that_agree_set_the_clock_without_waiting_for_the_fourth(follow):
    figures, _ = start(follow, 1, {}, {}, {}, {"link": {"loss": 1.0}})
    assert figures.time_to_lock < 3


@pytest.mark.parametrize("seed", [5, 6, 30])
def test_a_wrong_server_waits_for_three_whose_packets_are_mostly_lost(follow, seed):
    honest, liar = {"link": {"loss": 0.4}}, {"oscillator": {"offset": 1.0}}
    figures, _ = start(follow, seed, *[dict(honest) for _ in range(3)], liar)
    assert figures.steps == 1
    assert figures.bound_violated == 0


@pytest.mark.parametrize("seed", range(5))
def test_a_wrong_server_that_answers_first_after_somebody_set_the_clock_does_not_set_it(follow, seed):
    honest, liar = {"link": {"delay": 50e-3, "loss": 0.2}}, {"oscillator": {"offset": 1.0}}
    moved = {"what": "step", "clock": "client", "seconds": 0.1, "at": 200, "every": 50}
    figures, _ = follow(*[dict(honest) for _ in range(3)], liar, source=ASKED, event=[moved], seed=seed, **FINE)
    assert figures.bound_violated == 0


def test_a_wrong_server_that_is_asked_quickly_waits_for_others_that_are_asked_slowly(follow):
    slowly, liar = {"source": {"iburst": False, "min_poll": 7}}, {"oscillator": {"offset": 1.0}}
    figures, _ = follow(liar, slowly, dict(slowly), source=ASKED, seed=1, **FINE)
    assert figures.bound_violated == 0
    assert figures.steps == 1


def test_a_server_that_never_answers_delays_the_other_by_seconds_only(follow):
    figures, _ = start(follow, 1, {}, {"link": {"loss": 1.0}})
    assert 8 < figures.time_to_lock < 16


def test_without_a_burst_the_second_answer_sets_the_clock(follow):
    figures, simulation = start(follow, 1, source={"iburst": False})
    assert figures.time_to_lock < 70
    assert settling_time(simulation, 1e-3) < 70
    assert simulation.host("client").packets < 12
    assert figures.bound_violated == 0


@pytest.mark.parametrize("off_ppm", [0, 3, 50])
def test_a_saved_frequency_helps_where_it_is_right_and_does_no_harm_where_it_is_not(follow, off_ppm):
    """It may be that of yesterday, or of the machine whose disk was copied."""
    saved = {"saved_frequency": ((-20 + off_ppm) * 1e-6, 1e-7)}
    crystal = {"offset": -0.3, "frequency_ppm": 20}
    known, simulation = follow(clock=crystal, source={"iburst": True}, engine=saved, **FINE)
    unknown, _ = follow(clock=crystal, source={"iburst": True}, **FINE)
    assert settling_time(simulation, 1e-3) < 2.5
    assert known.rms_error < (0.6 if off_ppm == 0 else 1.4) * unknown.rms_error
    assert known.bound_violated == 0
