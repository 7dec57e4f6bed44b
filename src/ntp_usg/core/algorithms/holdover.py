"""Keeping time without a reference: what the oscillator will do, and an error bound that the truth stays inside."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.oscillator import PPB_HOUR
from ntp_usg.core.algorithms.oscillator_bank import FORGET_HOURS, Bank, Forecast, Thermal, numbers
from ntp_usg.core.base.instants import RawNs, nanoseconds

BLOCK = 0.16
"""Hours of estimates that are averaged before they are learned from: the crystal hardly moves, the noise halves."""
GAP = 3 * BLOCK
"""Hours of silence after which what was forecast can no longer be checked."""
SENSOR_PATIENCE = 0.5
"""Hours that a holdover goes on with the last temperature."""
COMPARED = 8.0
"""Hours over which the forecasts with and without a thermometer are compared."""
HOTTEST = 200.0
"""No sensor of a running machine says more, in celsius."""
STEP = 1 / 60
"""Hours over which the predicted frequency is averaged."""
RESOLUTION = 1 / 3600
"""Hours, and a hundredth of the whole, to which the time left is searched."""
FARTHEST = 30 * 24.0
"""Hours ahead that are looked at."""
VERSION = 2
"""Of what is kept; the list of characters is part of it."""
COMPARISONS = 256
"""So many estimates show whether their errors are alike."""
WILD = 9.0
"""A change by more than three deviations is the clock's, and shows nothing of that."""
LAST_INSTANT = 2.0**63
"""Nanoseconds; after that there is no kernel time."""

_Entry = tuple[float, float, Thermal | None]
"""A frequency and its deviation in ppb, and a temperature."""


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
    spent: tuple[float, float] | None = None
    """A budget, and the hours after which it is spent; forgotten when a temperature changes the outlook."""


class HoldoverModel:
    """Learns an oscillator while a reference is there; predicts it, with a bound, when it has gone."""

    def __init__(self) -> None:
        self._blind = Bank(sensed=False)
        self._sensed = Bank(sensed=True)
        self._reference_temperature: float | None = None
        self._advantage = 0.0
        self._kelvin: Thermal | None = None
        self._block: list[_Entry] = []
        self._alike = 1.0
        self._end = RawNs(0)  # of the last block
        self._latest: RawNs | None = None
        self._saved_at: RawNs | None = None
        self._held: _Held | None = None

    def learn(self, at: RawNs, rate: float, deviation: float, temperature: float | None = None) -> None:
        """Take in a frequency (seconds per second) with its deviation, and a temperature in celsius, once a minute."""
        if not (abs(rate) < 1 and abs(deviation) < 1):  # also where it is no number
            return
        if self._latest is None:
            self._start(at)
        elif at <= self._latest:
            return
        elif _hours(at - self._latest) > GAP:
            self._close(self._latest)
            self._skip(at)
        self._held = None
        self._latest = at
        entry = rate * 1e9, max(abs(deviation) * 1e9, 1e-3), self._warmth(temperature)
        if self._block:
            self._compare(self._block[-1], entry)
        self._block.append(entry)
        if _hours(at - self._end) >= BLOCK:
            self._close(at)

    def begin(self, at: RawNs, estimate: Estimate) -> None:
        """The reference is lost: from here on the oscillator is on its own."""
        if self._latest is None:
            self.learn(at, estimate.rate, estimate.rate_deviation)
        if self._latest is not None:
            self._close(self._latest)
        self._skip(max(at, self._end))
        blind = self._blind.forecast(_hours(at))
        self._held = _Held(at, estimate, blind, self._sensed_forecast(at, blind), at, self._kelvin or (0.0, 0.0))

    def predict(self, at: RawNs, temperature: float | None = None) -> Estimate:
        """The offset and rate at an instant after `begin`; the published bound is three deviations.

        `rate_deviation` is how fast the offset's deviation grows.
        No temperature means no news: the last one holds for half an hour, then the model goes on without.
        """
        held = self._holdover()
        self._warm(held, at, self._warmth(temperature))
        hours = max(0.0, _hours(at - held.began))
        phase, deviation = self._look(held, hours)
        ahead, deviation_ahead = self._look(held, hours + STEP)
        offset_ns = held.estimate.offset_ns + nanoseconds(phase * PPB_HOUR)
        growth = max(0.0, deviation_ahead - deviation) / (STEP * 3600)
        return Estimate(offset_ns, (ahead - phase) / STEP * 1e-9, deviation, held.estimate.jitter, growth)

    def budget_left(self, budget: float, now: RawNs, margin: float = 0.0) -> float:
        """Seconds from now until the bound has grown by `budget` seconds since `begin`; a month at most.

        `margin` is by how much faster it grows than the forecast says, in seconds per second, always the same.
        """
        held = self._holdover()
        elapsed = max(0.0, _hours(now - held.began))
        if held.spent is None or held.spent[0] != budget:
            held.spent = budget, self._spent(held, elapsed, held.estimate.deviation + budget / 3, margin)
        return max(0.0, held.spent[1] - elapsed) * 3600

    def _spent(self, held: _Held, elapsed: float, limit: float, margin: float) -> float:
        """Hours after the beginning when the deviation, and a third of the margin, pass a limit, as things look now."""

        def is_over(hours: float) -> bool:
            return self._look(held, hours)[1] + margin / 3 * 3600 * hours > limit

        early, late = elapsed, elapsed
        while not is_over(late):
            if late > elapsed + FARTHEST:
                return late
            early, late = late, elapsed + 1.25 * (late - elapsed) + BLOCK
        while late - early > max(RESOLUTION, late / 100):
            middle = (early + late) / 2
            early, late = (early, middle) if is_over(middle) else (middle, late)
        return early

    def as_dict(self) -> dict[str, object]:
        """What a restart need not learn again, as plain values; empty where nothing was learned."""
        saved_at = self._saved_at if self._latest is None else self._end
        if saved_at is None:
            return {}
        return {
            "version": VERSION,
            "at": saved_at,
            "reference_temperature": self._reference_temperature,
            "advantage": self._advantage,
            "blind": self._blind.as_dict(),
            "sensed": None if self._reference_temperature is None else self._sensed.as_dict(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> "HoldoverModel":
        """The model that `as_dict` describes; a fresh one for nothing, or for what another version wrote.

        Raises ClockError for values that cannot be.
        """
        model = cls()
        if values.get("version") != VERSION:
            return model
        (saved_at,) = numbers([values.get("at")], 1, LAST_INSTANT)
        (model._advantage,) = numbers([values.get("advantage")], 1)
        model._saved_at = RawNs(int(saved_at))
        model._blind.restore(values.get("blind"))
        if values.get("sensed") is not None:
            (model._reference_temperature,) = numbers([values.get("reference_temperature")], 1, HOTTEST)
            model._sensed.restore(values.get("sensed"))
        return model

    def _compare(self, before: _Entry, entry: _Entry) -> None:
        """Independent estimates in a row differ by both their deviations; what they differ less by, they err alike."""
        square = (entry[0] - before[0]) ** 2 / (entry[1] ** 2 + before[1] ** 2)
        self._alike += (1.0 - min(square, WILD) - self._alike) / COMPARISONS

    def _start(self, at: RawNs) -> None:
        """The first frequency, or the first after a restart."""
        self._end = at if self._saved_at is None else self._saved_at
        self._skip(at)

    def _sensed_forecast(self, at: RawNs, blind: Forecast) -> Forecast | None:
        """The forecast by the thermometer, where that has explained more than a clock alone and also promises more."""
        if self._kelvin is None or self._advantage <= 0:
            return None
        sensed, hours = self._sensed.forecast(_hours(at)), COMPARED
        still = (hours * self._kelvin[0], hours * self._kelvin[1])
        promised = self._sensed.checks.scale(hours) * sensed.phase(hours, still)[1]
        return sensed if promised < self._blind.checks.scale(hours) * blind.phase(hours, None)[1] else None

    def _holdover(self) -> _Held:
        assert self._held is not None, "predictions begin with begin()"
        return self._held

    def _look(self, held: _Held, hours: float) -> tuple[float, float]:
        """Phase in ppb-hours and deviation of the offset in seconds, `hours` after the beginning.

        The error of the last estimate counts beside the forecast's own, as far as estimates err alike: the model takes
        the frequencies that it learns for independent, and no average of those of an estimator with a memory is better.
        """
        bank, forecast, thermal = self._blind, held.blind, None
        if held.sensed is not None:
            still = hours - _hours(held.warm_at - held.began)
            thermal = (held.thermal[0] + still * held.kelvin[0], held.thermal[1] + still * held.kelvin[1])
            bank, forecast = self._sensed, held.sensed
        mean, variance = forecast.phase(hours, thermal)
        grown = bank.checks.scale(hours) * variance * PPB_HOUR * PPB_HOUR
        lasting = max(0.0, self._alike) * held.estimate.rate_deviation
        last = held.estimate.deviation + lasting * hours * 3600  # the two err together
        return mean, math.sqrt(last * last + grown)

    def _warm(self, held: _Held, at: RawNs, kelvin: Thermal | None) -> None:
        """Add the warmth since the last temperature; a thermometer that is gone is not waited for."""
        hours = _hours(at - held.warm_at)
        if kelvin is None:
            if held.sensed is not None and hours > SENSOR_PATIENCE:
                held.sensed = held.spent = None
        elif hours > 0:
            first, second = (hours * (old + new) / 2 for old, new in zip(held.kelvin, kelvin, strict=True))
            held.thermal = (held.thermal[0] + first, held.thermal[1] + second)
            held.kelvin, held.warm_at, held.spent = kelvin, at, None

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
        if not self._block:
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
        elif self._reference_temperature is not None:
            self._sensed.advance(hours)
        self._block.clear()
        self._end = at

    def _skip(self, at: RawNs) -> None:
        """Time passes in which nothing was measured."""
        hours = min(_hours(at - self._end), FARTHEST)
        if hours > 0:
            self._blind.advance(hours)
            self._sensed.advance(hours)
        self._end = at


def _hours(interval_ns: int) -> float:
    return interval_ns / 3.6e12
