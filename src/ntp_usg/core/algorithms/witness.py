"""The host's oscillator as a witness against a source: jumps and ramps that no crystal makes are the source's own."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ntp_usg.core.algorithms.line_fit import FREE_SLOPE, fit_line
from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import RawNs, nanoseconds, seconds
from ntp_usg.core.base.samples import Sample

BLOCK = 16
"""So many samples are averaged to a point of the line that is carried on; two points make the line."""
ACCELERATION = 10e-9
"""How fast a crystal's frequency may change, in 1/s: ten times what a fan or a busy processor was seen to do."""
FARTHEST = 2e-6
"""How far it may change at all while nobody looks: 2 ppm, some twenty kelvin."""
STRAYS = 4
"""So many samples in a row must be where the oscillator cannot have gone; one less than an estimator follows them."""
SCATTER = 4.0
"""So many deviations of the usual scatter are nothing, in either direction; that four in a row are more is."""
MEMORY = 128


@dataclass(frozen=True, slots=True)
class Departure:
    """A source that has left the line: `size` in seconds of a jump, at least so many seconds per second of a ramp.

    What the source said after `since` must not be used.
    """

    doubt: Doubt
    size: float
    since: RawNs

    def __str__(self) -> str:
        if self.doubt is Doubt.TIME_JUMP:
            return f"jumped by {self.size:+.3g} s"
        return f"runs off by at least {self.size * 1e6:+.3g} us/s"


class Witness:
    """Carries the line of the last samples on, and says when those that come cannot lie on it.

    `expected` is the scatter that is assumed before it was seen, `accuracy` what the source may be off by anyhow;
    seconds.
    """

    def __init__(self, expected: float, accuracy: float) -> None:
        self._accuracy = accuracy
        self._mean_square = expected * expected
        self._count = MEMORY // 8
        self._origin: Sample | None = None
        self._points: deque[tuple[float, float]] = deque(maxlen=2)
        self._block: list[tuple[float, float]] = []
        self._before = 0.0
        self._strays: list[tuple[RawNs, float]] = []
        self.stray = 0.0
        """Seconds that the latest sample is off the line beyond the usual scatter: an error not yet explained."""

    def see(self, sample: Sample, *, usual: bool = True) -> Departure | None:
        """Hold a sample against the line; when it was left, begin with a new one.

        One that the estimator has refused is not `usual`: it says nothing of where samples lie.
        """
        if self._origin is None:
            self._origin = sample
        time = seconds(sample.at - self._origin.at)
        offset = seconds(sample.offset_ns - self._origin.offset_ns)
        if len(self._points) == 2:
            error = offset - self._expected(time)
            noise = SCATTER * math.sqrt(self._mean_square) * self._stretch(time)
            if usual:
                self._learn(error)
            self.stray = max(0.0, abs(error) - noise)
            if self.stray > self._accuracy + self._possible(time):
                return self._stray(sample.at, time, error)
            self._before = error
        self._strays.clear()
        if usual:
            self._collect(time, offset)
        return None

    def shift(self, offset_ns: int) -> None:
        """UTC has inserted or left out a second; the oscillator has not."""
        if self._origin is not None:
            origin = self._origin
            self._origin = Sample(origin.at, origin.offset_ns + offset_ns, origin.dispersion)

    def restart(self) -> None:
        """Begin with a new line; how the samples scatter is still known."""
        self._origin = None
        self._points.clear()
        self._block.clear()
        self._strays.clear()
        self._before = self.stray = 0.0

    def _expected(self, time: float) -> float:
        (first, low), (second, high) = self._points
        return high + (high - low) / (second - first) * (time - second)

    def _stretch(self, time: float) -> float:
        """By how much the line's own error exceeds the samples', where it is carried far on: after a silence."""
        (first, _), (second, _) = self._points
        ahead = (time - second) / (second - first)
        return max(1.0, math.sqrt(((1 + ahead) ** 2 + ahead**2) / BLOCK))

    def _possible(self, time: float) -> float:
        """How far a changing frequency leads from a line through two points, at the most."""
        first, second = self._points[0][0], self._points[1][0]
        return min(ACCELERATION / 2 * (time - first) * (time - second), FARTHEST * (time - first))

    def _stray(self, at: RawNs, time: float, error: float) -> Departure | None:
        if self._strays and (error > 0) != (self._strays[0][1] > 0):
            self._strays.clear()
        self._strays.append((at, error))
        if len(self._strays) < STRAYS:
            return None
        assert self._origin is not None
        at_first, first = self._strays[0]
        jumped = max(2 * abs(self._before), abs(error - first)) < abs(first)
        known = self._points[-1][0]
        ramp = error / (time - known)
        still_right = RawNs(self._origin.at + nanoseconds(known))
        self.restart()
        if jumped:
            return Departure(Doubt.TIME_JUMP, (first + error) / 2, at_first)
        return Departure(Doubt.FREQUENCY_JUMP, ramp, still_right)

    def _learn(self, error: float) -> None:
        """The scatter of what the line does not foresee; one wild sample must not make it blind."""
        square = min(error * error, 9 * self._mean_square)
        self._count = min(self._count + 1, MEMORY)
        self._mean_square += (square - self._mean_square) / self._count

    def _collect(self, time: float, offset: float) -> None:
        self._block.append((time, offset))
        if len(self._block) == BLOCK:
            times, offsets = zip(*self._block, strict=True)
            if len(self._points) < 2:
                self._expect_scatter(times, offsets)
            self._points.append((sum(times) / BLOCK, sum(offsets) / BLOCK))
            self._block.clear()

    def _expect_scatter(self, times: Sequence[float], offsets: Sequence[float]) -> None:
        """The first blocks show how samples scatter before there is a line that they could leave."""
        usual = math.sqrt(self._mean_square)
        self._mean_square = max(usual, fit_line(times, offsets, FREE_SLOPE, usual, usual).jitter) ** 2
