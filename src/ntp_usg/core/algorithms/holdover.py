"""Keeping time without a reference: what the oscillator will do, and an error bound that the truth stays inside."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.oscillator import (
    AGEING_DEVIATION,
    CHARACTERS,
    CURVE_DEVIATION,
    PPB_HOUR,
    SLOPE_DEVIATION,
    UNKNOWN_LEVEL,
    UNSEEN_DAY,
    UNSEEN_REST,
    Belief,
    Candidate,
    daily_row,
    daily_span,
)
from ntp_usg.core.base.instants import RawNs, nanoseconds

BLOCK = 1 / 6
"""Hours of estimates that are averaged before they are learned from: the crystal hardly moves, the noise halves."""
FORGET_HOURS = 72.0
"""Which character fits is judged by the last days."""
HORIZONS = (1.0, 2.0, 4.0, 8.0, 16.0, 24.0)
"""Hours over which the model checks its own forecasts."""
ASSUMED_CHECKS = 4.0
"""The forecasts' stated deviations are trusted like this many checks that came out as stated."""
GAP = 3 * BLOCK
"""Hours of silence after which what was forecast can no longer be checked."""
SENSOR_PATIENCE = 0.5
"""Hours that a holdover goes on with the last temperature."""
HOTTEST = 200.0
"""No sensor of a running machine says more, in celsius."""
FRESH_DEVIATION = 1e-6
"""Seconds per second that a frequency may be off which was measured over a few seconds only."""
STEP = 1 / 60
"""Hours over which the predicted frequency is averaged, and to which the time left is searched."""
FARTHEST = 30 * 24.0
"""Hours ahead that are looked at."""

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
        self.squares[index] = keep * self.squares[index] + square / HORIZONS[index]

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
            if weight > 1e-3
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

    def _advance(self, hours: float) -> None:
        for candidate in self.candidates:
            candidate.advance(hours)

    def _weights(self) -> Sequence[float]:
        best = max(candidate.score for candidate in self.candidates)
        raw = [math.exp(candidate.score - best) for candidate in self.candidates]
        total = sum(raw)
        return [value / total for value in raw]


@dataclass(slots=True)
class _Held:
    """A holdover under way; each temperature is added to the sum as it comes."""

    began: RawNs
    estimate: Estimate
    blind: Forecast
    sensed: Forecast | None
    warm_at: RawNs
    kelvin: Thermal
    thermal: Thermal = (0.0, 0.0)


class HoldoverModel:
    """Learns an oscillator while a reference is there; predicts it, with a bound, when it has gone."""

    def __init__(self) -> None:
        self._blind = Bank(sensed=False)
        self._sensed = Bank(sensed=True)
        self._reference_temperature: float | None = None
        self._advantage = 0.0
        self._kelvin: Thermal | None = None
        self._block: list[tuple[float, float, Thermal | None]] = []
        self._end: RawNs | None = None
        self._latest = RawNs(0)
        self._held: _Held | None = None

    def learn(self, at: RawNs, rate: float, deviation: float, temperature: float | None = None) -> None:
        """Take in a frequency (seconds per second) with its deviation, and a temperature in celsius, once a minute."""
        if not (math.isfinite(rate) and math.isfinite(deviation)):
            return
        if self._end is None:
            self._end = self._latest = at
        elif at <= self._latest:
            return
        self._held = None
        if _hours(at - self._latest) > GAP:
            self._close(self._latest)
            self._skip(at)
        self._latest = at
        self._block.append((rate * 1e9, max(abs(deviation) * 1e9, 1e-3), self._warmth(temperature)))
        if _hours(at - self._end) >= BLOCK:
            self._close(at)

    def begin(self, at: RawNs, estimate: Estimate) -> None:
        """The reference is lost: from here on the oscillator is on its own."""
        if self._end is None:
            self.learn(at, estimate.rate, FRESH_DEVIATION)
        self._close(self._latest)
        self._skip(at)
        trusted = self._kelvin is not None and self._advantage > 0
        sensed = self._sensed.forecast(_hours(at)) if trusted else None
        blind = self._blind.forecast(_hours(at))
        self._held = _Held(at, estimate, blind, sensed, at, self._kelvin or (0.0, 0.0))

    def predict(self, at: RawNs, temperature: float | None = None) -> Estimate:
        """The offset and rate at an instant after `begin`; the published bound is three deviations.

        No temperature means no news: the last one holds for half an hour, then the model goes on without.
        """
        held = self._holdover()
        self._warm(held, at, self._warmth(temperature))
        hours = max(0.0, _hours(at - held.began))
        phase, deviation = self._look(held, hours)
        ahead, _ = self._look(held, hours + STEP)
        offset_ns = held.estimate.offset_ns + nanoseconds(phase * PPB_HOUR)
        return Estimate(offset_ns, (ahead - phase) / STEP * 1e-9, deviation, held.estimate.jitter)

    def budget_left(self, budget: float, now: RawNs) -> float:
        """Seconds from now until the bound has grown by `budget` seconds since `begin`; a month at most."""
        held = self._holdover()
        limit = held.estimate.deviation + budget / 3
        elapsed = max(0.0, _hours(now - held.began))

        def spent(hours: float) -> bool:
            return self._look(held, hours)[1] > limit

        if spent(elapsed):
            return 0.0
        early, late = elapsed, elapsed + BLOCK
        while not spent(late):
            if late > elapsed + FARTHEST:
                return FARTHEST * 3600
            early, late = late, elapsed + 1.25 * (late - elapsed)
        while late - early > STEP:
            middle = (early + late) / 2
            early, late = (early, middle) if spent(middle) else (middle, late)
        return (early - elapsed) * 3600

    def _holdover(self) -> _Held:
        assert self._held is not None, "predictions begin with begin()"
        return self._held

    def _look(self, held: _Held, hours: float) -> tuple[float, float]:
        """Phase in ppb-hours and deviation of the offset in seconds, `hours` after the beginning."""
        bank, forecast, thermal = self._blind, held.blind, None
        if held.sensed is not None:
            still = hours - _hours(held.warm_at - held.began)
            thermal = (held.thermal[0] + still * held.kelvin[0], held.thermal[1] + still * held.kelvin[1])
            bank, forecast = self._sensed, held.sensed
        mean, variance = forecast.phase(hours, thermal)
        grown = bank.checks.scale(hours) * variance * PPB_HOUR * PPB_HOUR
        return mean, math.sqrt(held.estimate.deviation**2 + grown)

    def _warm(self, held: _Held, at: RawNs, kelvin: Thermal | None) -> None:
        """Add the warmth since the last temperature; a thermometer that is gone is not waited for."""
        hours = _hours(at - held.warm_at)
        if kelvin is None:
            if hours > SENSOR_PATIENCE:
                held.sensed = None
        elif hours > 0:
            first, second = (hours * (old + new) / 2 for old, new in zip(held.kelvin, kelvin, strict=True))
            held.thermal = (held.thermal[0] + first, held.thermal[1] + second)
            held.kelvin, held.warm_at = kelvin, at

    def _warmth(self, temperature: float | None) -> Thermal | None:
        """A temperature as the model takes it: relative to the first one seen."""
        if temperature is None or not abs(temperature) < HOTTEST:
            return None
        if self._reference_temperature is None:
            self._reference_temperature = temperature
        warmth = temperature - self._reference_temperature
        return warmth, warmth * warmth

    def _close(self, at: RawNs) -> None:
        """Learn from the block that ends here."""
        if self._end is None or not self._block:
            return
        hours, hour, size = _hours(at - self._end), _hours(at), len(self._block)
        rate = sum(entry[0] for entry in self._block) / size
        variance = sum(entry[1] ** 2 for entry in self._block) / size**2
        warm = [entry[2] for entry in self._block if entry[2] is not None]
        plain = self._blind.measure(hours, hour, rate, variance, None)
        self._kelvin = None
        if len(warm) == size:
            self._kelvin = warm[-1]
            mean = (sum(entry[0] for entry in warm) / size, sum(entry[1] for entry in warm) / size)
            gained = self._sensed.measure(hours, hour, rate, variance, mean) - plain
            self._advantage = math.exp(-hours / FORGET_HOURS) * self._advantage + gained
        else:
            self._sensed.advance(hours)
        self._block.clear()
        self._end = at

    def _skip(self, at: RawNs) -> None:
        """Time passes in which nothing was measured."""
        assert self._end is not None
        hours = _hours(at - self._end)
        if hours > 0:
            self._blind.advance(hours)
            self._sensed.advance(hours)
            self._end = at


def _hours(interval_ns: int) -> float:
    return interval_ns / 3.6e12
