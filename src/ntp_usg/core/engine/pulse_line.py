"""A PPS signal: exact about when a second begins, silent about which."""

from collections import Counter, deque
from dataclasses import replace
from statistics import median

from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.pulse_train import PulseTrain, describe_rate
from ntp_usg.core.algorithms.selection import Candidate, Choice
from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, nanoseconds, nearest_second, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import PulseCorrection, PulseEnd, Sample
from ntp_usg.core.base.snapshots import SourceSnapshot
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.numbering import Numbering
from ntp_usg.core.engine.scattering_source import ScatteringSource
from ntp_usg.core.engine.settings import PulseSettings, ReceiverSettings
from ntp_usg.core.engine.source import Source

PULSE_NOISE = NoiseModel(expected=1e-6, floor=10e-9, gate=10e-6)
CLOSE = 0.05
"""Seconds: who knows the time as closely as this can tell one end of a pulse from the other."""
SUSPICIOUS = 0.5
"""Seconds after their second at which messages may be those of the next one, if the edge is the end of the pulse."""
MARGIN = 0.02
"""Seconds that the latency by the pulses may be off the interval that is stated: messages jitter."""
WRONG_EDGE = (
    "the captured edge ends the pulse, and the other one begins the second: set capture_mode to the other edge, or to "
    '"Both". If the pulse really lasts for more than half of the time, set long_pulse = true.'
)
NEEDS_THE_CLOCK = (
    "no source knows the time closely enough to say which of them begins the second: "
    "state offset_secs and accuracy_secs of the receiver, or add servers."
)


class PulseLine(ScatteringSource):
    """One pulse input."""

    GRACE = 10.0
    """Seconds in which a line may become usable, from the start or the first edge on: before messages alone set the
    clock, and before people hear that its edges are useless."""
    PATIENCE = 60.0
    """Seconds in which pulses of the right rate are waited for that have no number yet."""
    STEADY_FOR = 4.0
    """Seconds after a pulse in which the line counts as one that has pulses."""
    RATE_WINDOW = 11
    CONFIRMED_FOR = 60.0
    """Seconds that pulses are believed to be numbered rightly after a message last said so."""

    settings: PulseSettings

    def __init__(self, settings: PulseSettings, estimator: Estimator, now: MonoNs) -> None:
        super().__init__(settings, estimator, now, PULSE_NOISE)
        self.numbering = Numbering()
        self._train = PulseTrain(1 / settings.rate_hz)
        self._pulsed_at: MonoNs | None = None
        self._edges_since = self._steady_since = now
        self._useless = False
        self._latencies: deque[float] = deque(maxlen=self.RATE_WINDOW)
        self._ends: deque[PulseEnd] = deque(maxlen=self.RATE_WINDOW)
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

    def pulse(self, edge_at: RawNs, now: MonoNs, predicted_ns: int | None, end: PulseEnd = PulseEnd.UNKNOWN) -> Reason:
        """Take a pulse in; `predicted_ns` is true minus raw time as the clock holds it, where it is trusted.

        It then also has the last word on the number of the second, about which pulses can say nothing.
        """
        if self._edges and edge_at <= self._edges[-1]:
            return self.reject(Reason.REPEATED)
        self._edges.append(edge_at)
        if self._edge_seen_at is None or seconds(now - self._edge_seen_at) > self.GRACE:
            self._edges_since = now
        self._edge_seen_at = now
        objection = self._train.add(edge_at)
        if objection is not None:
            return self.reject(objection)
        self._ends.append(end)
        if self.end is PulseEnd.END:
            return self.reject(Reason.WRONG_EDGE)
        self._keep_steady(now)
        return self._measure(RawNs(edge_at - nanoseconds(self.settings.offset)), now, predicted_ns)

    def _measure(self, edge_at: RawNs, now: MonoNs, predicted_ns: int | None) -> Reason:
        """Take in a pulse of the train."""
        estimate = self.estimate(edge_at)
        expected_ns = predicted_ns if estimate is None else estimate.offset_ns
        if predicted_ns is not None and expected_ns is not None and self._is_another(expected_ns - predicted_ns):
            expected_ns = predicted_ns
        if self.settings.rate_hz > 1:
            if expected_ns is None:
                return self.reject(Reason.NOT_NUMBERED)
            told = edge_at + expected_ns
            if self._is_another(nearest_second(told) - told):
                return self.reject(Reason.WITHIN_SECOND)
        offset_ns = self.numbering.edge(edge_at, expected_ns)
        if offset_ns is None:
            return self.reject(Reason.NOT_NUMBERED)
        latest = self.estimator.latest
        if latest is not None and self._is_another(offset_ns - latest.offset_ns):
            self.restart()
        offset_ns -= self._sawtooth_ns(WallNs(edge_at + offset_ns))
        return self.measure(Sample(edge_at, offset_ns, self.accuracy), now)

    @property
    def end(self) -> PulseEnd:
        """Which end of the pulse most of the latest edges were."""
        return Counter(self._ends).most_common(1)[0][0] if self._ends else PulseEnd.UNKNOWN

    def suspect(self, latency: float, settings: ReceiverSettings, *, told: bool) -> bool:
        """Doubt the edge where messages come so late that they may be those of the second after, and the edge an end.

        `latency` is in seconds by these pulses, `settings` are the receiver's, which may state another one; `told` is
        whether somebody else agrees with the line.
        """
        stated = settings.latency
        self._latencies.append(latency)
        latency = median(self._latencies)
        suspicious = abs(latency - stated) > settings.accuracy + MARGIN if stated else latency >= SUSPICIOUS
        doubtful = suspicious and self.end is not PulseEnd.BEGIN and not told
        text = f"messages come {latency:.2f} s after their second, or {self.settings.device} captures the pulse's end"
        self.trust.report("edge", (Trouble(Doubt.EDGE, text, severe=True),) if doubtful else ())
        return doubtful

    def agrees_with(self, other: Source, at: RawNs, now: MonoNs) -> bool:
        """Whether another source that knows the time to less than the width of a pulse says the same."""
        ours, theirs = self.estimate(at), other.estimate(at)
        if not other.healthy or ours is None or theirs is None:
            return False
        bound = other.distance(at, now)
        return bound < CLOSE and abs(seconds(ours.offset_ns - theirs.offset_ns)) < bound + self.distance(at, now)

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
        self._train.clear()
        self._latencies.clear()

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
        """Whether usable pulses are there, or may still be coming, so that messages alone should not set the clock."""
        begun_at = max(self._started_at, self._edges_since if self._pulsing(now) else self._started_at)
        if seconds(now - begun_at) < self.GRACE:
            return True
        # Messages number no pulses of a higher rate: it is the clock that must be set first.
        usable = self.healthy or (self.settings.rate_hz == 1 and seconds(now - self._steady_since) < self.PATIENCE)
        return self._pulsing(now) and self._is_steady(now) and usable

    def reason(self, now: MonoNs) -> str:
        """Besides what the latest verdict shows: the rate of a useless line, and who could number a higher rate."""
        if self._useless:
            return self._complaint
        if not self.healthy and self._latest is Reason.NOT_NUMBERED and self.settings.rate_hz > 1:
            return f"{describe_rate(self.settings.rate_hz)}: {NEEDS_THE_CLOCK}"
        return super().reason(now)

    def review(self, now: MonoNs, served: ClockMapping) -> list[Action]:
        """Notice that pulses came or stopped, or that edges are useless."""
        self.healthy = self.estimator.ready and not self.silent(now)
        pulsing, actions = self._pulsing(now), self._judge_rate(now)
        if pulsing == self._present:
            return actions
        self._present = pulsing
        if self._useless:
            return actions
        if pulsing:
            return [Note(Level.INFO, f"PPS pulse detected! Offset: {self._distance(served):.9f}s")]
        assert self._edge_seen_at is not None
        silence = seconds(now - self._edge_seen_at)
        return [Note(Level.WARNING, f"PPS signal lost: no pulse on {self.settings.device} for {silence:.1f}s")]

    def snapshot(self, now: MonoNs, served: ClockMapping, choice: Choice) -> SourceSnapshot:
        return replace(super().snapshot(now, served, choice), pulse_rate_hz=self._rate(now))

    @property
    def _complaint(self) -> str:
        """What is wrong with the rate of a useless line, and what to do."""
        if self.end is PulseEnd.END:
            return f"{self.settings.device}: {WRONG_EDGE}"
        expected = describe_rate(self.settings.rate_hz)
        text = f"{self.settings.device} shows {self._train.describe()}, where {expected} must come:"
        return f"{text} check the receiver's pulse settings, the wiring and rate_hz."

    def _judge_rate(self, now: MonoNs) -> list[Action]:
        """Notice that edges do not keep the rate of the line, and that they do so again."""
        since = max(self._edges_since, self._pulsed_at or self._edges_since)
        heard = self._edge_seen_at is not None and seconds(now - self._edge_seen_at) < self.GRACE
        useless = heard and not self._is_steady(now) and seconds(now - since) > self.GRACE
        if useless == self._useless:
            return []
        self._useless, name = useless, self.settings.name
        if useless:
            return [Note(Level.WARNING, f"{name} is not used: {self._complaint}")]
        if heard:
            return [Note(Level.INFO, f"{name}: the pulses of {self.settings.device} keep their rate now")]
        return []

    def _keep_steady(self, now: MonoNs) -> None:
        if not self._is_steady(now):
            self._steady_since = now
        self._pulsed_at = now

    def _is_steady(self, now: MonoNs) -> bool:
        """Whether a pulse of the right rate has come lately."""
        return self._pulsed_at is not None and seconds(now - self._pulsed_at) < self.STEADY_FOR

    def _is_another(self, difference_ns: int) -> bool:
        """Whether two times are not those of the same pulse."""
        return abs(seconds(difference_ns)) > 0.5 / self.settings.rate_hz

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


def _unit(name: str) -> str:
    return name.rpartition("(")[2]
