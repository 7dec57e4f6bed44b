"""What a crystal may be like, learned from its frequency: level, ageing, wander, the daily pattern, temperature.

Hours and parts per billion throughout, so phases are in ppb-hours: matrices of such numbers are well conditioned.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

PPB_HOUR = 1e-9 * 3600
"""Seconds in one ppb-hour."""
DAY = 24.0
LEVEL, AGEING, WANDER, DAILY, SLOPE = 0, 1, 2, slice(3, 7), 7
"""Places in the state; a curvature follows the slope, and both are there only with a thermometer."""
UNKNOWN_LEVEL = 1e5
"""100 ppm: a crystal by its data sheet, and what a kernel may choose again for its counter at each boot."""
AGEING_DEVIATION = 20.0 / DAY
"""20 ppb a day: several times what crystals age by (1-5 ppm a year)."""
UNSEEN_DAY = (200.0, 200.0, 70.0, 70.0)
"""A daily swing that has not been seen yet: about 0.1 ppm/K times three kelvin, and some of it twice a day."""
UNSEEN_REST = (30.0, 30.0, 15.0, 15.0)
"""What of the daily swing a thermometer may miss, for it is not inside the crystal."""
SLOPE_DEVIATION = 200.0
CURVE_DEVIATION = 20.0
"""ppb/K and ppb/K^2: AT-cut crystals near room temperature stay inside one of these deviations, watch crystals two."""

RENEWAL = 0.01 / (365 * DAY)
"""Share of a first variance that comes back in an hour: crystals, and where their thermometers are, change in time."""

Matrix = list[list[float]]


@dataclass(frozen=True, slots=True)
class Character:
    """One supposition about an oscillator's own instability."""

    walk: float
    """Random walk of the frequency, ppb per square root of an hour."""
    wander: float
    """Deviation in ppb of a wander that comes back to its mean ..."""
    memory: float
    """... with this time constant in hours."""

    def phase_variance(self, hours: float) -> float:
        """What new noise adds to the phase in that time, in (ppb h)^2."""
        decay, spans = math.exp(-hours / self.memory), hours / self.memory
        wandered = 2 * spans - 3 + 4 * decay - decay * decay if spans > 1e-3 else 2 / 3 * spans**3
        return self.walk**2 * hours**3 / 3 + (self.wander * self.memory) ** 2 * wandered


CHARACTERS = tuple(
    Character(walk, strength * math.sqrt(memory / 2), memory)
    for walk in (0.2, 1.0, 5.0, 15.0, 45.0, 135.0, 405.0)
    for strength, memory in ((0.0, 1.0), *itertools.product((5.0, 15.0, 45.0), (0.5, 3.0)))
)
"""`strength` is a wander's random walk while it is young. The range is that of an oven to that of a draughty room."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Mean and covariance of the state under one character, and how much that character is believed."""

    character: Character
    weight: float
    mean: list[float]
    covariance: Matrix

    def phase(self, hours: float, span: Sequence[float]) -> tuple[float, float]:
        """Mean and variance of the phase gained over `hours`; `span` is what each state contributes in that time."""
        memory = self.character.memory
        gains = [*span]
        gains[WANDER] = memory * (1 - math.exp(-hours / memory))
        spread = [sum(map(float.__mul__, row, gains)) for row in self.covariance]
        drift = self.character.walk**2 * hours / DAY * sum(gain * gain for gain in gains[DAILY])
        variance = max(0.0, sum(map(float.__mul__, spread, gains))) + drift
        return sum(map(float.__mul__, self.mean, gains)), variance + self.character.phase_variance(hours)


class Candidate:
    """A Kalman filter of the state under one character."""

    def __init__(self, character: Character, deviations: Sequence[float]) -> None:
        self.character = character
        self.score = 0.0
        self.mean = [0.0] * len(deviations)
        self.covariance = [[0.0] * len(deviations) for _ in deviations]
        for index, deviation in enumerate(deviations):
            self.covariance[index][index] = deviation * deviation
        self.covariance[WANDER][WANDER] = character.wander**2
        lasting = (AGEING, *range(SLOPE, len(deviations)))
        self._renewals = [(index, RENEWAL * deviations[index] ** 2) for index in lasting]

    def restore(self, mean: Sequence[float], covariance: Matrix, score: float) -> None:
        """Go on from what was learned before a restart; level and wander have to be found again."""
        self.score = score
        self.mean = [*mean]
        self.covariance = [row[:] for row in covariance]
        self.mean[LEVEL] = self.mean[WANDER] = 0.0
        for index, deviation in ((LEVEL, UNKNOWN_LEVEL), (WANDER, self.character.wander)):
            for row in self.covariance:
                row[index] = 0.0
            self.covariance[index] = [0.0] * len(mean)
            self.covariance[index][index] = deviation * deviation

    def advance(self, hours: float) -> None:
        """Let time pass."""
        mean, covariance, character = self.mean, self.covariance, self.character
        decay = math.exp(-hours / character.memory)
        mean[LEVEL] += hours * mean[AGEING]
        mean[WANDER] *= decay
        covariance[LEVEL] = [a + hours * b for a, b in zip(covariance[LEVEL], covariance[AGEING], strict=True)]
        covariance[WANDER] = [decay * value for value in covariance[WANDER]]
        for row in covariance:
            row[LEVEL] += hours * row[AGEING]
            row[WANDER] *= decay
        walked = character.walk**2 * hours
        covariance[LEVEL][LEVEL] += walked
        covariance[WANDER][WANDER] += character.wander**2 * (1 - decay * decay)
        for index in range(DAILY.start, DAILY.stop):
            covariance[index][index] += walked / DAY
        for index, renewal in self._renewals:
            covariance[index][index] += renewal * hours

    def measure(self, row: Sequence[float], rate: float, variance: float) -> float:
        """Take in a frequency in ppb; returns the log likelihood that this character gave it."""
        gains = [sum(map(float.__mul__, line, row)) for line in self.covariance]
        total = max(0.0, sum(map(float.__mul__, gains, row))) + variance
        surprise = rate - sum(map(float.__mul__, self.mean, row))
        for index, gain in enumerate(gains):
            share = gain / total
            self.mean[index] += share * surprise
            self.covariance[index] = [a - share * b for a, b in zip(self.covariance[index], gains, strict=True)]
        return -0.5 * (math.log(total) + surprise * surprise / total)


def daily_row(hour: float) -> list[float]:
    """The two daily harmonics at an hour."""
    angle = 2 * math.pi * (hour % DAY) / DAY
    return [math.cos(angle), math.sin(angle), math.cos(2 * angle), math.sin(2 * angle)]


def daily_span(start: float, end: float) -> list[float]:
    """The integrals of the two harmonics over hours."""
    turn = 2 * math.pi / DAY
    first, last = daily_row(start), daily_row(end)
    return [
        (last[1] - first[1]) / turn,
        (first[0] - last[0]) / turn,
        (last[3] - first[3]) / (2 * turn),
        (first[2] - last[2]) / (2 * turn),
    ]
