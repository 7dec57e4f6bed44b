"""A PPS signal: exact about when a second begins, silent about which."""

from collections import deque
from dataclasses import replace

from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.selection import Candidate, Choice
from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, nanoseconds, nearest_second, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import PulseCorrection, Sample
from ntp_usg.core.base.snapshots import SourceSnapshot
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.numbering import Numbering
from ntp_usg.core.engine.scattering_source import ScatteringSource
from ntp_usg.core.engine.settings import PulseSettings

PULSE_NOISE = NoiseModel(expected=1e-6, floor=10e-9, gate=10e-6)
DOUBLE = 0.5
"""Seconds: of two edges that are nearer to each other, the first begins the second."""


class PulseLine(ScatteringSource):
    """One pulse input."""

    GRACE = 10.0
    """Seconds after the start in which the line is waited for before messages alone may set the clock."""
    RATE_WINDOW = 11
    CONFIRMED_FOR = 60.0
    """Seconds that pulses are believed to be numbered rightly after a message last said so."""

    settings: PulseSettings

    def __init__(self, settings: PulseSettings, estimator: Estimator, now: MonoNs) -> None:
        super().__init__(settings, estimator, now, PULSE_NOISE)
        self.numbering = Numbering()
        self._edges: deque[RawNs] = deque(maxlen=self.RATE_WINDOW)
        self._edge_seen_at: MonoNs | None = None
        self._present = False
        self._confirmed_at: MonoNs | None = None
        self._correction: PulseCorrection | None = None
        self._uncertainties: deque[float] = deque([0.0], maxlen=self.RATE_WINDOW)

    @property
    def _declared_uncertainty(self) -> float:
        """Of the latest stamps the worst one's: they may all be off to the same side."""
        return max(self._uncertainties)

    def pulse(self, edge_at: RawNs, now: MonoNs, predicted_ns: int | None) -> Reason:
        """Take a pulse in; `predicted_ns` is true minus raw time as the clock holds it, where it is trusted.

        It then also has the last word on the number of the second, about which pulses can say nothing.
        """
        if self._edges and edge_at <= self._edges[-1]:
            return self.reject(Reason.REPEATED)
        doubled = bool(self._edges) and seconds(edge_at - self._edges[-1]) < DOUBLE
        self._edges.append(edge_at)
        self._edge_seen_at = now
        edge_at = RawNs(edge_at - nanoseconds(self.settings.offset))
        estimate = self.estimate(edge_at)
        if estimate is None and doubled:
            return self.reject(Reason.DOUBLED)
        expected_ns = predicted_ns if estimate is None else estimate.offset_ns
        if predicted_ns is not None and expected_ns is not None and _is_another_second(expected_ns - predicted_ns):
            expected_ns = predicted_ns
        offset_ns = self.numbering.edge(edge_at, expected_ns)
        if offset_ns is None:
            return self.reject(Reason.NOT_NUMBERED)
        latest = self.estimator.latest
        if latest is not None and _is_another_second(offset_ns - latest.offset_ns):
            self.restart()
        offset_ns -= self._sawtooth_ns(WallNs(edge_at + offset_ns))
        return self.measure(Sample(edge_at, offset_ns, self.accuracy), now)

    def stamped_within(self, uncertainty: float) -> None:
        """How far off, in seconds, the next stamp may be by the way in which it was taken."""
        self._uncertainties.append(uncertainty)

    def belongs_to(self, receiver: str) -> bool:
        """Whether a receiver's word on its pulses means these: those of the same unit, but never a standard's own."""
        return self.settings.driver != "atomic" and _unit(self.settings.name) == _unit(receiver)

    def correct(self, correction: PulseCorrection) -> None:
        """The receiver says how far off the next pulse will be: its clock can only strike on its own ticks."""
        self._correction = correction

    def renew(self) -> None:
        """Forget what was measured and counted: the raw timeline was broken or the count was wrong."""
        self.restart()
        self.numbering = Numbering()
        self._confirmed_at = None
        self._edges.clear()

    def shift(self, offset_ns: int) -> None:
        super().shift(offset_ns)
        self.numbering.shift(offset_ns)

    def candidate(self, at: RawNs, now: MonoNs, served: ClockMapping) -> Candidate:
        confirmed = self._confirmed_at is not None and seconds(now - self._confirmed_at) < self.CONFIRMED_FOR
        return replace(super().candidate(at, now, served), pulse=True, numbered=True, confirmed=confirmed)

    @property
    def falls_silent_at(self) -> MonoNs | None:
        if not self._present or self._edge_seen_at is None:
            return None
        return MonoNs(self._edge_seen_at + nanoseconds(self.settings.timeout) + 1)

    def confirm(self, now: MonoNs) -> None:
        """A message has named the second that was counted."""
        self._confirmed_at = now

    def awaited(self, now: MonoNs) -> bool:
        """Whether pulses are there, or may still be coming, so that nobody should settle for messages alone."""
        return self._pulsing(now) or seconds(now - self._started_at) < self.GRACE

    def review(self, now: MonoNs, served: ClockMapping) -> list[Action]:
        """Notice that pulses came or stopped."""
        self.healthy = self.estimator.ready and not self.silent(now)
        pulsing = self._pulsing(now)
        if pulsing == self._present:
            return []
        self._present = pulsing
        if pulsing:
            return [Note(Level.INFO, f"PPS pulse detected! Offset: {self._distance(served):.9f}s")]
        assert self._edge_seen_at is not None
        silence = seconds(now - self._edge_seen_at)
        return [Note(Level.WARNING, f"PPS signal lost: no pulse on {self.settings.device} for {silence:.1f}s")]

    def snapshot(self, now: MonoNs, served: ClockMapping, choice: Choice) -> SourceSnapshot:
        return replace(super().snapshot(now, served, choice), pulse_rate_hz=self._rate(now))

    def _sawtooth_ns(self, second: WallNs) -> int:
        """What has to be added to the stamp of the pulse of a second, where the receiver has said it."""
        correction = self._correction
        return round(correction.correction_ps / 1000) if correction and correction.second == second else 0

    def _pulsing(self, now: MonoNs) -> bool:
        return self._edge_seen_at is not None and seconds(now - self._edge_seen_at) <= self.settings.timeout

    def _rate(self, now: MonoNs) -> float:
        if not self._pulsing(now) or len(self._edges) < 2:
            return 0.0
        return (len(self._edges) - 1) / seconds(self._edges[-1] - self._edges[0])

    def _distance(self, served: ClockMapping) -> float:
        """From the latest pulse to the whole second nearest by the served clock."""
        wall = served.wall(RawNs(self._edges[-1] - nanoseconds(self.settings.offset)))
        return seconds(nearest_second(wall) - wall)


def _is_another_second(difference_ns: int) -> bool:
    return abs(seconds(difference_ns)) > DOUBLE


def _unit(name: str) -> str:
    return name.rpartition("(")[2]
