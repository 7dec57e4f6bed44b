"""What is measured of one client's run, and how the runs of several seeds count together."""

import math
import statistics
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tests.bench.cells.conditions import Condition


def _array() -> "array[float]":
    return array("d")


@dataclass(slots=True)
class Track:
    """One client as it was looked at again and again: seconds, errors positive when it is ahead."""

    times: "array[float]" = field(default_factory=_array)
    errors: "array[float]" = field(default_factory=_array)
    """Of the served time."""
    bounds: "array[float]" = field(default_factory=_array)
    """Promised: root delay / 2 + root dispersion; NaN while answers are unsynchronised."""
    clock_times: "array[float]" = field(default_factory=_array)
    clock_errors: "array[float]" = field(default_factory=_array)
    """Of the clock itself, with the slew that is under way."""
    packets: int = 0
    """Requests to the server, from the start on."""

    def add(self, time: float, error: float, bound: float) -> None:
        self.times.append(time)
        self.errors.append(error)
        self.bounds.append(bound)


Measure = Callable[[Track, Condition], float]


def _settled(track: Track, condition: Condition) -> list[float]:
    return [error for time, error in zip(track.times, track.errors, strict=True) if time >= condition.settled]


def _promised(track: Track, condition: Condition) -> Iterator[tuple[float, float]]:
    """Error without its sign, and bound, of the answers that promised something."""
    for time, error, bound in zip(track.times, track.errors, track.bounds, strict=True):
        if time >= condition.settled and not math.isnan(bound):
            yield abs(error), bound


def _rms(values: list[float]) -> float:
    return math.sqrt(statistics.fmean(value * value for value in values)) if values else math.nan


def rms(track: Track, condition: Condition) -> float:
    return 1e6 * _rms(_settled(track, condition))


def clock_rms(track: Track, condition: Condition) -> float:
    pairs = zip(track.clock_times, track.clock_errors, strict=True)
    return 1e6 * _rms([error for time, error in pairs if time >= condition.settled])


def served_to_clock(track: Track, condition: Condition) -> float:
    return rms(track, condition) / clock_rms(track, condition)


def largest(track: Track, condition: Condition) -> float:
    return 1e6 * max(map(abs, _settled(track, condition)), default=math.nan)


def outside(track: Track, condition: Condition) -> float:
    broken = [error > bound for error, bound in _promised(track, condition)]
    return 100 * statistics.fmean(broken) if broken else math.nan


def worst_ratio(track: Track, condition: Condition) -> float:
    return max((error / max(bound, 1e-9) for error, bound in _promised(track, condition)), default=math.nan)


def bound_ratio(track: Track, condition: Condition) -> float:
    """Median of bound / error."""
    ratios = [bound / max(error, 1e-9) for error, bound in _promised(track, condition)]
    return statistics.median(ratios) if ratios else math.nan


def unsynchronised(track: Track, condition: Condition) -> float:
    count = len(_settled(track, condition))
    return 100 * (1 - sum(1 for _ in _promised(track, condition)) / count) if count else math.nan


def poll(track: Track, condition: Condition) -> float:
    return condition.length / track.packets if track.packets else math.nan


def _end(condition: Condition) -> float:
    """When the first thing that happens is over."""
    first = condition.happenings[0]
    return first.at + (first.lasts or 0.0)


def _mean_between(track: Track, begin: float, end: float) -> float:
    return 1e3 * statistics.fmean(abs(e) for at, e in zip(track.times, track.errors, strict=True) if begin <= at < end)


def error_meanwhile(track: Track, condition: Condition) -> float:
    """Mean from its beginning to its end, in ms."""
    return _mean_between(track, condition.happenings[0].at, _end(condition))


def error_at_end(track: Track, condition: Condition) -> float:
    """Mean over the last five minutes before it is over, in ms."""
    return _mean_between(track, _end(condition) - 300, _end(condition))


def _below(track: Track, limit: float, since: float) -> float:
    """Seconds from `since` until the error stays below a limit, to the end; infinite if it does not."""
    last, after = since, math.inf
    for time, error in zip(track.times, track.errors, strict=True):
        if time > since and abs(error) >= limit:
            last, after = time, math.inf
        elif time > since:
            after = min(after, time)
    return after - since if after >= last else math.inf


def back_below_1ms(track: Track, condition: Condition) -> float:
    return _below(track, 1e-3, _end(condition))


def below_1ms(track: Track, _condition: Condition) -> float:
    return _below(track, 1e-3, 0.0)


def below_100us(track: Track, _condition: Condition) -> float:
    return _below(track, 1e-4, 0.0)


MEASURES: dict[str, Measure] = {
    "RMS error, us": rms,
    "largest error, us": largest,
    "answers outside the bound, %": outside,
    "largest error / bound": worst_ratio,
    "median bound / error": bound_ratio,
    "unsynchronised, %": unsynchronised,
    "served / clock, RMS": served_to_clock,
    "RMS error of the clock, us": clock_rms,
    "mean poll, s": poll,
    "mean error meanwhile, ms": error_meanwhile,
    "error when it ends, ms": error_at_end,
    "back below 1 ms after, s": back_below_1ms,
    "below 1 ms after, s": below_1ms,
    "below 100 us after, s": below_100us,
}
"""By the name that tables show; in percent, us, ms or s as it says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is measured in a cell, what chrony reaches there as another measured it, and what ours must reach."""

    measure: str
    chrony: float | None = None
    wanted: float | None = None
    """At most; None: only shown."""
    strict: bool = False
    """It must be less than wanted."""
    each: bool = False
    """In each seed, and not in the mean."""

    def sum_up(self, values: list[float]) -> float:
        if any(map(math.isnan, values)):
            return math.nan  # which max() may overlook
        return max(values) if self.each else statistics.fmean(values)

    def met(self, value: float) -> bool:
        """NaN meets nothing."""
        return self.wanted is None or value < self.wanted or (value == self.wanted and not self.strict)
