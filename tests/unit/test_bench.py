"""What the benches measure with is right: measures, goals, the same conditions in both simulators, worlds at random."""

import math
from array import array
from dataclasses import replace

import pytest
from tests.bench import bounds
from tests.bench.cells import clknetsim, table
from tests.bench.cells.cells import CELLS, Cell
from tests.bench.cells.conditions import Condition, Happening
from tests.bench.cells.measures import MEASURES, Goal, Track
from tests.bench.cells.worlds import draw, write

from ntp_usg.simulate.scenario import Scenario, parse_scenario

ROUTE = Happening(what="route", at=100, lasts=100, size=5e-3)
CONDITION = Condition(jitter_there=1e-4, jitter_back=0.0, happenings=(ROUTE,), settled=50)


def track(errors: list[float], bounds: list[float] | None = None, step: float = 10.0) -> Track:
    times = array("d", (step * number for number in range(len(errors))))
    made = array("d", errors)
    return Track(times, made, array("d", bounds or [1.0] * len(errors)), times, array("d", [2 * e for e in errors]), 4)


def measured(name: str, made: Track) -> float:
    return MEASURES[name](made, CONDITION)


def test_figures_begin_where_the_clock_had_to_be_settled():
    made = track([1.0] * 5 + [3e-6, -4e-6])
    assert measured("RMS error, us", made) == pytest.approx(math.sqrt(12.5))
    assert measured("largest error, us", made) == pytest.approx(4)
    assert measured("served / clock, RMS", made) == pytest.approx(0.5)
    assert measured("mean poll, s", made) == CONDITION.length / 4


def test_only_answers_that_promise_something_can_be_outside():
    made = track([0.0] * 5 + [1e-3, -3e-3, 9.0, 1e-3], [1.0] * 5 + [2e-3, 2e-3, math.nan, 4e-3])
    assert measured("answers outside the bound, %", made) == pytest.approx(100 / 3)
    assert measured("largest error / bound", made) == pytest.approx(1.5)
    assert measured("median bound / error", made) == pytest.approx(2)
    assert measured("unsynchronised, %", made) == pytest.approx(25)


def test_an_error_is_below_a_limit_when_it_stays_there():
    made = track([9.0] * 22 + [0.5e-3, 2e-3, 0.5e-3, 0.1e-3])
    assert measured("back below 1 ms after, s", made) == 40
    assert measured("below 1 ms after, s", made) == 240
    assert measured("below 100 us after, s", made) == math.inf
    assert measured("error when it ends, ms", made) == 9000


def test_a_goal_is_met_in_the_mean_or_in_each_seed():
    mean, each = (Goal(measure="RMS error, us", wanted=2, each=each) for each in (False, True))
    assert mean.met(mean.sum_up([1, 3]))
    assert not each.met(each.sum_up([1, 3]))
    assert not Goal(measure="largest error / bound", wanted=1, strict=True).met(1.0)
    assert not mean.met(math.nan)


def test_a_line_says_what_is_missed():
    cell = Cell("somewhere", CONDITION, (Goal(measure="RMS error, us", chrony=3, wanted=2),))
    (line,) = table.lines(cell, {"ours": [[4.0], [6.0]]})
    assert str(line).split() == ["somewhere", "RMS", "error,", "us", "5", "+-1.4", "3", "<=", "2", "MISSED"]
    (line,) = table.lines(cell, {"chrony": [[4.0]]})
    assert line.met


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_every_cell_can_be_simulated_and_measured(cell: Cell):
    Scenario.model_validate(cell.condition.scenario())
    assert all(goal.measure in MEASURES for goal in cell.goals)
    assert all(len(line) < 1000 for line in clknetsim.configuration(cell.condition).splitlines())


def test_clknetsim_is_told_the_same_condition():
    cut = Happening(what="cut", at=1800, lasts=84_600, every=86_400)
    warm = Happening(what="frequency", at=500, size=10)
    lines = clknetsim.configuration(Condition(jitter_there=1e-3, jitter_back=0, happenings=(cut, warm, ROUTE)))
    told = dict(line.split(" = ") for line in lines.splitlines())
    assert told["node2_freq"] == "(+ 0 (sum (* 1e-09 (normal))) (* 5e-06 (+ 1 (* -1 (pulse 500 1000000000)))))"
    assert told["node2_delay1"].startswith("(+ 0.0001 (* 0.001 (exponential)) (* -1000 ")
    assert "(% (+ time 84600) 86400)" in told["node2_delay1"]
    assert "(* 0.005 " in told["node2_delay1"]
    assert "0.005" not in told["node1_delay2"]


def test_without_clknetsim_one_sentence_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.delenv("CLKNETSIM", raising=False)
    with pytest.raises(clknetsim.UnavailableError, match=r"^Set CLKNETSIM to"), clknetsim.tools():
        pass
    monkeypatch.setenv("CLKNETSIM", str(tmp_path))
    with pytest.raises(clknetsim.UnavailableError, match="run make"), clknetsim.tools():
        pass


@pytest.mark.parametrize("seed", range(1, 41))
def test_a_world_is_a_scenario_that_a_file_can_hold(seed: int):
    world = draw(seed)
    assert parse_scenario(write(world), "world.toml") == Scenario.model_validate(world)
    assert draw(seed) == world


@pytest.mark.parametrize("seed", range(1, 41))
def test_most_servers_of_a_world_tell_the_truth(seed: int):
    world = draw(seed)
    honest = [each for each in world["server"] if abs(each["oscillator"]["offset"]) <= each["root_dispersion"]]
    liars = {each["clock"] for each in world["event"] if each["what"] == "step"} - {"client"}
    assert len(honest) == len(world["server"])
    assert 2 * len(liars) < len(world["server"])


@pytest.mark.parametrize("seed", range(1, 41))
def test_no_frequency_is_stepped_in_an_outage(seed: int):
    world = draw(seed)
    cuts = [(each["at"], each["at"] + each.get("for", math.inf)) for each in world["event"] if each["what"] == "cut"]
    outages = [cut for cut in cuts if cuts.count(cut) == len(world["server"])]
    steps = [each for each in world["event"] if each["what"] == "frequency"]
    instants = [each["at"] for each in steps] + [each["at"] + each["for"] for each in steps if "for" in each]
    assert not [at for at in instants for begin, end in outages if begin - 1024 < at < end]


def test_a_broken_bound_is_counted_and_shown_again():
    lying = {"name": "a", "oscillator": {"offset": 1.0}}
    world = draw(23) | {"server": [lying], "event": [], "duration": 100.0, "probe": 1.0}
    result = bounds.run(world)
    assert result.probes == 100
    assert 0 < result.outside <= result.promised
    assert result.worst > 1
    assert "--seed 23 --scenarios 1" in bounds.line(result)
    assert any("error +1" in line for line in bounds.story(world, result.when))


def test_worlds_without_a_promise_keep_none():
    kept = bounds.Result(1, "", 100, 90, 0, 0.5, 0.0, 10.0, 1.0)
    assert bounds.holds([kept])
    assert not bounds.holds([replace(kept, outside=1)])
    assert not bounds.holds([replace(kept, promised=10)])
    assert "0 of them synchronised" in bounds.summary([replace(kept, promised=0, median=math.nan)])


@pytest.mark.parametrize("each", [True, False])
def test_a_seed_without_a_figure_is_not_overlooked(each):
    goal = Goal(measure="answers outside the bound, %", wanted=0, each=each)
    assert not goal.met(goal.sum_up([0.0, math.nan]))
