"""The clock of a simulated host as a crystal makes it: noise of three kinds, ageing, and the weather in the room."""

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pydantic import NonNegativeFloat, PositiveFloat

from ntp_usg.core.base.instants import RawNs, WallNs, nanoseconds, seconds

DAY = 86400.0
FLICKER_TIMES = tuple(4.0**exponent for exponent in range(10))
"""Time constants in seconds of the processes that add up to flicker: from a second to three days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OscillatorSettings:
    """What a clock is like. Positive means that it is ahead, or runs too fast."""

    offset: float = 0.0
    """Seconds, at the start."""
    frequency_ppm: float = 0.0
    """At the start and at mean temperature."""
    wander_ppb: NonNegativeFloat = 0.0
    """Random-walk frequency: the standard deviation of its change in one second."""
    white_ppb: NonNegativeFloat = 0.0
    """White frequency noise: its Allan deviation at one second."""
    flicker_ppb: NonNegativeFloat = 0.0
    """Flicker frequency noise: its Allan deviation, the same at all intervals up to a day."""
    ageing_ppb: float = 0.0
    """Change of frequency in a day."""
    temperature_swing: float = 0.0
    """Amplitude of the daily sine in kelvin; at the start the temperature is the mean and rises."""
    temperature_noise: NonNegativeFloat = 0.0
    """Standard deviation in kelvin of what comes on top: doors, load, heating."""
    temperature_noise_time: PositiveFloat = 3600.0
    """Seconds that a change of that kind lasts."""
    slope_ppb: float = 0.0
    """Change of frequency per kelvin."""
    curvature_ppb: float = 0.0
    """Change of frequency per square kelvin."""


class Oscillator:
    """Readings of the free-running clock at any true instant, in any order.

    Phase and frequency are drawn at knots `step` seconds apart, exactly distributed however long the step; the phase
    between is the cubic that joins them. What is read when changes nothing: a seed gives one clock.
    """

    def __init__(self, settings: OscillatorSettings, start: WallNs, random: Random, step: float = 1.0) -> None:
        self._settings = settings
        self._start = start
        self._step = step
        self._offset_ns = nanoseconds(settings.offset)
        self._gauss = random.gauss
        self._noises = [_Noise.walk(settings.wander_ppb * 1e-9, step)]
        if settings.flicker_ppb:
            flicker = (_Noise.relaxing(settings.flicker_ppb * 1e-9, time, step, random) for time in FLICKER_TIMES)
            self._noises.extend(flicker)
        self._white = settings.white_ppb * 1e-9 * math.sqrt(step)
        self._room = _Noise.relaxing(settings.temperature_noise, settings.temperature_noise_time, step, random)
        self._temperatures = array("d", [self._room.value])
        self._steady = self._steady_frequency(0)
        self._phases = array("d", [0.0])
        self._frequencies = array("d", [self._steady + sum(noise.value for noise in self._noises)])
        self._changes: list[tuple[float, float, float]] = []
        """From when, over how many seconds, and by how much the frequency was changed."""

    def reading(self, true: WallNs) -> RawNs:
        """What the clock shows at a true instant, which is not before the start."""
        return RawNs(true + self._offset_ns + nanoseconds(self._phase(seconds(true - self._start))))

    def true_time(self, reading: RawNs) -> WallNs:
        """When it shows that: the inverse, to a nanosecond or two."""
        true = shown = reading - self._offset_ns
        for _ in range(4):  # each round gains four digits
            true = shown - nanoseconds(self._phase(max(0.0, seconds(true - self._start))))
        return WallNs(true)

    def change_frequency(self, true: WallNs, change: float, over: float = 0.0) -> None:
        """Let it run faster from an instant on, after `over` seconds of change by `change` seconds per second."""
        self._changes.append((seconds(true - self._start), over, change))

    def frequency(self, true: WallNs) -> float:
        """How much too fast it runs at a true instant, in seconds per second."""
        elapsed = seconds(true - self._start)
        position = elapsed / self._step
        index = self._knot(position)
        left, right = self._frequencies[index : index + 2]
        changed = sum(
            change * (min(1.0, (elapsed - since) / over) if over else 1.0)
            for since, over, change in self._changes
            if elapsed > since
        )
        return left + (right - left) * (position - index) + changed

    def temperature(self, true: WallNs) -> float:
        """Of the crystal, in kelvin above its mean."""
        position = seconds(true - self._start) / self._step
        index = self._knot(position)
        left, right = self._temperatures[index : index + 2]
        return self._sine(position) + left + (right - left) * (position - index)

    def _phase(self, elapsed: float) -> float:
        return self._drawn_phase(elapsed) + sum(_gained(elapsed - since, *change) for since, *change in self._changes)

    def _drawn_phase(self, elapsed: float) -> float:
        position = elapsed / self._step
        index = self._knot(position)
        left, right = self._phases[index], self._phases[index + 1]
        left_slope, right_slope = self._frequencies[index] * self._step, self._frequencies[index + 1] * self._step
        part = position - index
        bend = left_slope + right_slope - 2 * (right - left)
        return left + part * (left_slope + part * (right - left - left_slope + (part - 1) * bend))

    def _knot(self, position: float) -> int:
        """The knot at or before a position, with the one after it drawn as well."""
        index = int(position)
        while len(self._phases) < index + 2:
            self._draw()
        return index

    def _draw(self) -> None:
        """One knot more."""
        if self._settings.temperature_noise:
            self._room.draw(self._gauss)
        self._temperatures.append(self._room.value)
        before, self._steady = self._steady, self._steady_frequency(len(self._phases))
        phase = (before + self._steady) / 2 * self._step
        frequency = self._steady
        for noise in self._noises:
            phase += noise.draw(self._gauss)
            frequency += noise.value
        if self._white:
            phase += self._gauss(0.0, self._white)
        self._phases.append(self._phases[-1] + phase)
        self._frequencies.append(frequency)

    def _steady_frequency(self, index: int) -> float:
        """All that is not noise of the crystal itself."""
        settings = self._settings
        warmth = self._sine(index) + self._temperatures[index]
        ageing = settings.ageing_ppb * index * self._step / DAY
        weather = warmth * (settings.slope_ppb + warmth * settings.curvature_ppb)
        return settings.frequency_ppm * 1e-6 + (ageing + weather) * 1e-9

    def _sine(self, position: float) -> float:
        return self._settings.temperature_swing * math.sin(2 * math.pi * position * self._step / DAY)


def _gained(elapsed: float, over: float, change: float) -> float:
    """Seconds gained, so long after a frequency began to rise by `change` over `over` seconds."""
    if elapsed <= 0:
        return 0.0
    return change * (elapsed * elapsed / (2 * over) if elapsed < over else elapsed - over / 2)


class _Noise:
    """A Gauss-Markov process, drawn together with its integral over steps of one length."""

    __slots__ = ("_carry", "_decay", "_integral_noise", "_shared_noise", "_value_noise", "value")

    def __init__(self, value: float, decay: float, carry: float, variances: tuple[float, float, float]) -> None:
        value_variance, covariance, integral_variance = variances
        self.value = value
        self._decay = decay
        self._carry = carry
        self._value_noise = math.sqrt(value_variance)
        self._shared_noise = covariance / self._value_noise if value_variance else 0.0
        self._integral_noise = math.sqrt(max(0.0, integral_variance - self._shared_noise**2))

    @classmethod
    def walk(cls, deviation: float, step: float) -> "_Noise":
        """A random walk that changes by `deviation` in a second."""
        variance = deviation**2
        return cls(0.0, 1.0, step, (variance * step, variance * step**2 / 2, variance * step**3 / 3))

    @classmethod
    def relaxing(cls, deviation: float, time: float, step: float, random: Random) -> "_Noise":
        """An Ornstein-Uhlenbeck process; added up over time constants a factor of 4 apart they make flicker noise.

        `deviation` is then the Allan deviation of the sum: the densities 4 s^2 t / (1 + (2 pi f t)^2) add up to
        s^2 / (f ln 4), and the Allan variance of h / f is 2 ln(2) h.
        """
        ratio = step / time
        decay = math.exp(-ratio)
        lost = -math.expm1(-ratio)
        # The closed form cancels down to ratio^3: for short steps its series.
        closed = 2 * ratio - lost * (2 + lost)
        spread = ratio**3 * (2 / 3 - ratio / 2) if ratio < 1e-3 else closed
        variance = deviation**2
        variances = (variance * lost * (2 - lost), variance * time * lost**2, variance * time**2 * spread)
        return cls(random.gauss(0.0, deviation), decay, time * lost, variances)

    def draw(self, gauss: Callable[[float, float], float]) -> float:
        """Go one step; returns the integral over it."""
        common = gauss(0.0, 1.0)
        integral = self._carry * self.value + self._shared_noise * common + self._integral_noise * gauss(0.0, 1.0)
        self.value = self._decay * self.value + self._value_noise * common
        return integral
