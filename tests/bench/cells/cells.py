"""The cells: a condition each, what is measured in it, and what chrony reaches there (RMS errors in microseconds)."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.bench.cells.conditions import Condition, Happening
from tests.bench.cells.measures import Goal

HOUR = 3600.0
DAY = 24 * HOUR
GOAL = 0.8
"""Of chrony's error, at equal polls and in its own published conditions."""

OUTSIDE = Goal(measure="answers outside the bound, %", wanted=0.0, each=True)
WORST = Goal(measure="largest error / bound", wanted=1.0, strict=True, each=True)
POLL = Goal(measure="mean poll, s")
CLOCK = Goal(measure="RMS error of the clock, us")


@dataclass(frozen=True, slots=True)
class Cell:
    """A line of the table, or some."""

    name: str
    condition: Condition
    goals: tuple[Goal, ...]


def _both(jitter: float) -> Condition:
    return Condition(jitter_there=jitter, jitter_back=jitter)


def _us(seconds: float) -> str:
    return f"{1e3 * seconds:g} ms" if seconds >= 1e-3 else f"{1e6 * seconds:g} us"


def _rms(chrony: float, wanted: float, *, each: bool = False) -> Goal:
    return Goal(measure="RMS error, us", chrony=chrony, wanted=wanted, each=each)


def _published() -> Iterator[Cell]:
    """One server with jitter both ways: what chrony's project publishes, and the bound beside its own."""
    for jitter, chrony, ratio in zip((1e-5, 1e-4, 1e-3, 1e-2), (21, 100, 460, 1537), (37, 13, 4, 6), strict=True):
        bound = Goal(measure="median bound / error", chrony=ratio, wanted=ratio)
        served = Goal(measure="served / clock, RMS", chrony=0.9, wanted=1.0, strict=True)
        goals = (_rms(chrony, GOAL * chrony), bound, served, OUTSIDE, WORST, POLL)
        yield Cell(f"default polls, jitter {_us(jitter)}", _both(jitter), goals)
    for jitter, chrony in zip((1e-5, 1e-4, 1e-3, 1e-2), (14, 55, 217, 700), strict=True):
        condition = replace(_both(jitter), wander_ppb=10.0, polls=(6, 6))
        yield Cell(f"poll 64 s, wander 10 ppb/s, jitter {_us(jitter)}", condition, (_rms(chrony, GOAL * chrony), WORST))


def _equal_polls() -> Iterator[Cell]:
    for poll, figures in ((4, (2.63, 11.1, 72.9, 589)), (6, (5.6, 23, 66, 561))):
        for jitter, chrony in zip((1e-5, 1e-4, 1e-3, 1e-2), figures, strict=True):
            condition = replace(_both(jitter), polls=(poll, poll))
            yield Cell(f"poll {2**poll} s, jitter {_us(jitter)}", condition, (_rms(chrony, GOAL * chrony), WORST))


def _one_sided() -> Iterator[Cell]:
    one_sided = Condition(jitter_there=1e-3, jitter_back=0.0)
    fixed = replace(one_sided, polls=(6, 6))
    yield Cell("one-sided 1 ms, default polls", one_sided, (_rms(16.8, 8), WORST, POLL))
    yield Cell("one-sided 1 ms, poll 64 s", fixed, (_rms(15.9, 8), WORST))
    yield Cell("one-sided 100 us, poll 64 s", replace(fixed, jitter_there=1e-4), (_rms(4.1, 2.5), WORST))
    yield Cell(
        "one-sided back 1 ms, poll 64 s", replace(fixed, jitter_there=0, jitter_back=1e-3), (_rms(15.9, 8), WORST)
    )
    yield Cell("lopsided 1.0/0.3 ms, poll 64 s", replace(fixed, jitter_back=0.3e-3), (_rms(99, 60), WORST))


def _steps() -> Iterator[Cell]:
    """The crystal gets warm at once, or a longer way there."""
    largest, outside = Goal(measure="largest error, us", chrony=4990, wanted=4000), replace(OUTSIDE, chrony=1.6)
    warm = replace(_both(1e-4), happenings=(Happening(what="frequency", at=50_000, size=10),))
    yield Cell("10 ppm step, default polls", warm, (largest, outside, replace(WORST, chrony=7.4)))
    less = replace(warm, happenings=(Happening(what="frequency", at=50_000, size=3),))
    largest, outside = replace(largest, chrony=1960, wanted=800), replace(outside, chrony=1.1)
    yield Cell("3 ppm step, default polls", less, (largest, outside, replace(WORST, chrony=3.0)))
    fixed = replace(warm, polls=(6, 6))
    yield Cell("10 ppm step, poll 64 s", fixed, (_rms(70, 40, each=True), OUTSIDE, WORST))
    longer = replace(_both(1e-4), happenings=(Happening(what="route", at=30_000, lasts=40_000, size=5e-3),))
    during = Goal(measure="mean error meanwhile, ms", chrony=1.6, wanted=1.6, strict=True)
    end = Goal(measure="error when it ends, ms", chrony=2.6, wanted=2.6, strict=True)
    back = Goal(measure="back below 1 ms after, s", chrony=398, wanted=398, strict=True)
    yield Cell("+5 ms there for 40,000 s", longer, (during, end, back, OUTSIDE, WORST))


def _outages() -> Iterator[Cell]:
    """The server cannot be reached for hours, which is noticed late."""
    for jitter, chrony in zip((1e-5, 1e-4, 1e-3, 1e-2), (None, None, 6.2, None), strict=True):
        cut = Happening(what="cut", at=30_000, lasts=4 * HOUR)
        condition = replace(_both(jitter), happenings=(cut,), length=60_000.0)
        yield Cell(f"outage of 4 h, jitter {_us(jitter)}", condition, (replace(OUTSIDE, chrony=chrony), WORST))
    away = Happening(what="cut", at=HOUR / 2, lasts=DAY - HOUR / 2, every=DAY)
    seldom = replace(_both(1e-4), happenings=(away,), length=3 * DAY, settled=600.0)
    unsynchronised = Goal(measure="unsynchronised, %", chrony=0.0, wanted=0.0, each=True)
    yield Cell("link up 30 min a day", seldom, (unsynchronised, OUTSIDE, WORST))


def _cold_starts() -> Iterator[Cell]:
    for jitter, below, error in ((1e-5, 5, 7), (1e-4, 64, 67)):
        condition = replace(_both(jitter), frequency_ppm=10, length=600, settled=60, probe=0.5)
        goals = (
            Goal(measure="below 1 ms after, s", chrony=5, wanted=5, strict=True),
            Goal(measure="below 100 us after, s", chrony=below, wanted=below, strict=True),
            replace(_rms(error, error), strict=True),
            OUTSIDE,
            WORST,
        )
        yield Cell(f"cold start, jitter {_us(jitter)}", condition, goals)


CELLS = [*_published(), *_equal_polls(), *_one_sided(), *_steps(), *_outages(), *_cold_starts()]
