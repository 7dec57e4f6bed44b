"""What is believed of an oscillator: many characters side by side, weighted by how well each has predicted."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ntp_usg.core.algorithms.oscillator import (
    AGEING_DEVIATION,
    CHARACTERS,
    CURVE_DEVIATION,
    SLOPE_DEVIATION,
    UNKNOWN_LEVEL,
    UNSEEN_DAY,
    UNSEEN_REST,
    Belief,
    Candidate,
    daily_row,
    daily_span,
)
from ntp_usg.core.base.errors import ClockError

FORGET_HOURS = 72.0
"""Which character fits is judged by the last days."""
HORIZONS = (1.0, 2.0, 4.0, 8.0, 16.0, 24.0)
"""Hours over which the bank checks its own forecasts."""
ASSUMED_CHECKS = 4.0
"""The forecasts' stated deviations are trusted like this many checks that came out as stated."""
WORST_SQUARE = 100.0
"""A forecast that is off by more than ten deviations met a change of its world, and says nothing of the next."""
PRUNED = 1e-3
"""A character that is believed less than this is left out of a forecast."""
BIGGEST = 1e12
"""No number that is kept is bigger."""

Thermal = tuple[float, float]
"""Kelvin-hours and kelvin-squared-hours above the reference temperature."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was believed at one instant: a holdover that began, or that would have begun, there."""

    start: float
    beliefs: tuple[Belief, ...]

    def phase(self, hours: float, thermal: Thermal | None) -> tuple[float, float]:
        """Mean and variance of the phase gained in ppb-hours, over all characters that are still believed."""
        span = [hours, hours * hours / 2, 0.0, *daily_span(self.start, self.start + hours), *(thermal or ())]
        moments = [(belief.weight, *belief.phase(hours, span)) for belief in self.beliefs]
        mean = sum(weight * phase for weight, phase, _ in moments)
        return mean, sum(weight * (variance + (phase - mean) ** 2) for weight, phase, variance in moments)


@dataclass(slots=True)
class Checks:
    """How far forecasts were off, in their own stated deviations, by horizon."""

    counts: list[float] = field(default_factory=lambda: [0.0] * len(HORIZONS))
    squares: list[float] = field(default_factory=lambda: [0.0] * len(HORIZONS))

    def add(self, index: int, square: float) -> None:
        """One forecast an hour is checked, and those over h hours share most of what they see with h others."""
        keep = math.exp(-1 / FORGET_HOURS)
        self.counts[index] = keep * self.counts[index] + 1 / HORIZONS[index]
        self.squares[index] = keep * self.squares[index] + min(square, WORST_SQUARE) / HORIZONS[index]

    def scale(self, hours: float) -> float:
        """What stated variances must be multiplied by; a longer horizon starts from what the shorter ones showed."""
        scales, scale = [], 1.0
        for count, square in zip(self.counts, self.squares, strict=True):
            scale = (ASSUMED_CHECKS * scale + square) / (ASSUMED_CHECKS + count)
            scales.append(scale)
        upper = next((index for index, horizon in enumerate(HORIZONS) if horizon >= hours), len(HORIZONS) - 1)
        if upper == 0 or hours >= HORIZONS[-1]:
            return max(1.0, scales[upper])
        share = (hours - HORIZONS[upper - 1]) / (HORIZONS[upper] - HORIZONS[upper - 1])
        return max(1.0, scales[upper - 1] + share * (scales[upper] - scales[upper - 1]))


class Bank:
    """All characters side by side, each believed as much as it predicted well, and the checks of their forecasts."""

    def __init__(self, *, sensed: bool) -> None:
        daily = UNSEEN_REST if sensed else UNSEEN_DAY
        thermal = (SLOPE_DEVIATION, CURVE_DEVIATION) if sensed else ()
        deviations = (UNKNOWN_LEVEL, AGEING_DEVIATION, 0.0, *daily, *thermal)
        self.candidates = [Candidate(character, deviations) for character in CHARACTERS]
        self.checks = Checks()
        self._pending: list[tuple[Forecast, float, Thermal]] = []
        self._phase = 0.0
        self._thermal: Thermal = (0.0, 0.0)

    def advance(self, hours: float) -> None:
        """Let time pass without a measurement: what was forecast can no longer be checked."""
        self._pending.clear()
        self._advance(hours)

    def measure(self, hours: float, hour: float, rate: float, variance: float, kelvin: Thermal | None) -> float:
        """Take in the mean frequency of a block of `hours` that ends at `hour`; returns its log likelihood."""
        self._advance(hours / 2)
        row = [1.0, 0.0, 1.0, *daily_row(hour - hours / 2), *(kelvin or ())]
        weights, keep = self._weights(), math.exp(-hours / FORGET_HOURS)
        likelihood = 0.0
        for candidate, weight in zip(self.candidates, weights, strict=True):
            gained = candidate.measure(row, rate, variance)
            likelihood += weight * math.exp(max(gained, -700.0))
            candidate.score = keep * candidate.score + gained
        self._advance(hours / 2)
        self._phase += hours * rate
        if kelvin is not None:
            self._thermal = (self._thermal[0] + hours * kelvin[0], self._thermal[1] + hours * kelvin[1])
        self._check(hour, hours, sensed=kelvin is not None)
        return math.log(max(likelihood, 1e-300))

    def forecast(self, hour: float) -> Forecast:
        """What is believed at an hour."""
        beliefs = [
            Belief(candidate.character, weight, candidate.mean[:], [row[:] for row in candidate.covariance])
            for candidate, weight in zip(self.candidates, self._weights(), strict=True)
            if weight > PRUNED
        ]
        return Forecast(hour, tuple(beliefs))

    def _check(self, hour: float, hours: float, *, sensed: bool) -> None:
        """Compare the forecasts that reach a horizon in the last block with what came, and make one every hour."""
        for forecast, phase, thermal in self._pending:
            age = hour - forecast.start
            for index, horizon in enumerate(HORIZONS):
                if age - hours < horizon <= age:
                    warmth = (self._thermal[0] - thermal[0], self._thermal[1] - thermal[1]) if sensed else None
                    mean, variance = forecast.phase(age, warmth)
                    self.checks.add(index, (self._phase - phase - mean) ** 2 / variance)
        self._pending = [entry for entry in self._pending if hour - entry[0].start < HORIZONS[-1]]
        if not self._pending or hour - self._pending[-1][0].start >= 1.0:
            self._pending.append((self.forecast(hour), self._phase, self._thermal))

    def as_dict(self) -> dict[str, object]:
        """What a restart need not learn again: one mean and covariance for all characters, and their scores."""
        weights, size = self._weights(), range(len(self.candidates[0].mean))
        pairs = list(zip(weights, self.candidates, strict=True))
        mean = [sum(weight * each.mean[i] for weight, each in pairs) for i in size]
        covariance = [
            [
                sum(
                    w * (each.covariance[i][j] + (each.mean[i] - mean[i]) * (each.mean[j] - mean[j]))
                    for w, each in pairs
                )
                for j in range(i + 1)
            ]
            for i in size
        ]
        return {
            "mean": mean,
            "covariance": covariance,
            "scores": [candidate.score for candidate in self.candidates],
            "counts": self.checks.counts,
            "squares": self.checks.squares,
        }

    def restore(self, values: object) -> None:
        """Go on from `as_dict`; the level is to be found again, because a kernel measures its counter at each boot.

        Raises ClockError for values that cannot be.
        """
        if not isinstance(values, Mapping):
            raise ClockError("the learned oscillator is not a table")
        size = len(self.candidates[0].mean)
        mean = numbers(values.get("mean"), size)
        rows = values.get("covariance")
        if not isinstance(rows, Sequence) or len(rows) != size:
            raise ClockError("the learned oscillator has a covariance of the wrong size")
        lower = [numbers(row, index + 1) for index, row in enumerate(rows)]
        covariance = [[lower[max(i, j)][min(i, j)] for j in range(size)] for i in range(size)]
        variances = [covariance[i][i] for i in range(size)]
        if any(covariance[i][j] ** 2 > 1.001 * variances[i] * variances[j] for i in range(size) for j in range(size)):
            raise ClockError("the learned oscillator has an impossible covariance")
        scores = numbers(values.get("scores"), len(self.candidates))
        counts, squares = (numbers(values.get(name), len(HORIZONS)) for name in ("counts", "squares"))
        if min(*variances, *counts, *squares) < 0:
            raise ClockError("the learned oscillator has a negative variance")
        self.checks = Checks(counts, squares)
        for candidate, score in zip(self.candidates, scores, strict=True):
            candidate.restore(mean, covariance, score)

    def _advance(self, hours: float) -> None:
        for candidate in self.candidates:
            candidate.advance(hours)

    def _weights(self) -> Sequence[float]:
        best = max(candidate.score for candidate in self.candidates)
        raw = [math.exp(candidate.score - best) for candidate in self.candidates]
        total = sum(raw)
        return [value / total for value in raw]


def numbers(values: object, size: int, limit: float = BIGGEST) -> list[float]:
    """A list of so many numbers within a limit.

    Raises ClockError for anything else.
    """
    if not isinstance(values, Sequence) or isinstance(values, str | bytes) or len(values) != size:
        raise ClockError(f"the learned oscillator lacks a list of {size} numbers")
    if not all(isinstance(value, int | float) and abs(value) <= limit for value in values):
        raise ClockError("the learned oscillator has a value that is not a number, or is too large")
    return [float(value) for value in values]
