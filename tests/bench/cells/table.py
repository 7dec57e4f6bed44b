"""A cell's figures beside each other: ours, chrony's, what is wanted, and whether it is reached."""

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from tests.bench.cells.cells import Cell
from tests.bench.cells.measures import MEASURES, Goal, Track

HEADING = f"{'cell':44}{'measured':30}{'ours':>17}{'chrony':>17}{'wanted':>10}"


def measure(cell: Cell, track: Track) -> list[float]:
    """One run, a figure for each of the cell's goals."""
    return [MEASURES[goal.measure](track, cell.condition) for goal in cell.goals]


@dataclass(frozen=True, slots=True)
class Line:
    """One goal of one cell, over all seeds."""

    cell: Cell
    goal: Goal
    values: Mapping[str, list[float]]
    """By server: `ours`, or `ours` and `chrony`."""

    @property
    def met(self) -> bool:
        """Whether ours reaches what is wanted; it does where it was not measured."""
        return "ours" not in self.values or self.goal.met(self.goal.sum_up(self.values["ours"]))

    def __str__(self) -> str:
        verdict = "" if self.goal.wanted is None else "" if self.met else "  MISSED"
        chrony = _column(self.goal, self.values["chrony"]) if "chrony" in self.values else _number(self.goal.chrony)
        ours = _column(self.goal, self.values["ours"]) if "ours" in self.values else "-"
        sign = "<" if self.goal.strict else "<="
        wanted = "-" if self.goal.wanted is None else f"{sign} {_number(self.goal.wanted)}"
        return f"{self.cell.name:44}{self.goal.measure:30}{ours:>17}{chrony:>17}{wanted:>10}{verdict}"

    def as_json(self) -> str:
        goal = self.goal
        figures = {name: {"figure": goal.sum_up(each), "seeds": each} for name, each in self.values.items()}
        wanted = {"chrony_elsewhere": goal.chrony, "wanted": goal.wanted, "met": self.met}
        return json.dumps({"cell": self.cell.name, "measure": goal.measure, **figures, **wanted})


def lines(cell: Cell, runs: Mapping[str, list[list[float]]]) -> list[Line]:
    """All goals of a cell; `runs` has a list of figures for each seed of each server."""
    return [
        Line(cell, goal, {server: [figures[number] for figures in seeds] for server, seeds in runs.items()})
        for number, goal in enumerate(cell.goals)
    ]


def show(table: list[Line], *, as_json: bool) -> list[str]:
    """Print lines; returns those that miss what is wanted."""
    for line in table:
        print(line.as_json() if as_json else line, flush=True)
    return [str(line) for line in table if not line.met]


def _column(goal: Goal, values: list[float]) -> str:
    spread = ""
    if len(values) > 1 and not goal.each and all(map(math.isfinite, values)):
        spread = f" +-{statistics.stdev(values):.2g}"
    return f"{_number(goal.sum_up(values))}{spread}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
