"""A receiver that names seconds: which of its messages may be believed, and how late they come."""

from collections import deque
from dataclasses import replace
from statistics import median

from ntp_usg.core.algorithms.estimator import Estimate, Estimator, NoiseModel
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.algorithms.selection import Choice
from ntp_usg.core.algorithms.witness import Witness
from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import Fix, FixQuality, Sample, TimeMessage
from ntp_usg.core.base.snapshots import Leap, SourceSnapshot
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.position_watch import PositionWatch
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.trust import judge_geometry

MESSAGE_NOISE = NoiseModel(expected=5e-3, floor=10e-6, gate=50e-3)
"""Serial messages wander by milliseconds: the receiver writes them when it has time to."""
LATE = 0.4
"""Seconds after which a message comes so late that people should know: a little more, and it names another pulse."""
NEVER_A_FIX = frozenset({FixQuality.NO_FIX, FixQuality.MANUAL, FixQuality.SIMULATION})


class Receiver(Source):
    """The message side of a GNSS receiver."""

    ACQUIRE_AFTER = 3
    """So many good messages in a row make a fix: a receiver that repeats itself never gets there."""
    LATENCY_WINDOW = 32
    MISSED = 10
    """So many bursts in a row without the part that is timed, and another one is."""

    settings: ReceiverSettings

    def __init__(self, settings: ReceiverSettings, estimator: Estimator, now: MonoNs) -> None:
        super().__init__(settings, estimator, now, Witness(MESSAGE_NOISE.expected, settings.accuracy))
        self._fix: Fix | None = None
        self._place = PositionWatch()
        self._timed_part = ""
        self._missed = 0
        self._leap: int | None = None
        self._last_second = WallNs(0)
        self._streak = 0
        self._latencies: deque[float] = deque(maxlen=self.LATENCY_WINDOW)

    @property
    def only_names_seconds(self) -> bool:
        return True

    @property
    def latency(self) -> float:
        """How long after its second a message arrives: as the pulses showed, else as configured. Seconds."""
        return median(self._latencies) if self._latency_known else self.settings.latency

    @property
    def accuracy(self) -> float:
        """With pulses seen, the latency is known as well as it is steady; else what was saved or configured stands."""
        if self._latency_known:
            return max(self._latencies) - min(self._latencies)
        spread = self.settings.latency_spread
        return self.settings.accuracy if spread is None else spread

    @property
    def _latency_known(self) -> bool:
        return len(self._latencies) >= self.LATENCY_WINDOW // 4

    def fix(self, fix: Fix, now: MonoNs) -> None:
        """News of the receiver's state without a time in it."""
        self._fix = fix
        self.trust.report("sky", judge_geometry(fix) if fix.quality.rank else ())
        if fix.position is not None and fix.quality.rank and not self.settings.mobile:
            self.trust.report("place", self._place.see(fix.position, now))

    def stamp(self, message: TimeMessage) -> HostNs:
        """When a message came: always by the same part of its burst, whichever comes first this time."""
        arrivals = dict(message.arrivals)
        if self._timed_part in arrivals:
            self._missed = 0
            return arrivals[self._timed_part]
        self._missed += 1
        if not self._timed_part or self._missed > self.MISSED:
            self._timed_part = message.stamped_by
        return message.received_at

    def shift(self, offset_ns: int) -> None:
        """What was announced has happened; the next message says what is to come."""
        super().shift(offset_ns)
        self._leap = None

    def announcement(self) -> Announcement | None:
        """What the receiver says of a coming leap second; NMEA says nothing."""
        return None if self._leap is None else Announcement(self.settings.name, Leap(self._leap), Weight.REFCLOCK)

    def message(self, message: TimeMessage, received_at: RawNs, now: MonoNs) -> Reason:
        """Believe a message or say why not. USED and OUTLIER have passed every test of the receiver's own state."""
        self.fix(message.fix, now)
        reason = self._objection(message, now)
        if reason is not None:
            self._streak = 0
            return self.reject(reason)
        self._last_second, self._leap = message.second, message.leap
        # The history holds the message as if it took no time to arrive: what is learned of the latency later then
        # moves no sample.
        sample = Sample(received_at, message.second - received_at, self.settings.accuracy)
        reason = self.measure(sample, now)
        self._streak = self._streak + 1 if reason is Reason.USED else 0
        return reason

    def paired(self, latency: float) -> None:
        """A pulse has shown how late a message was."""
        self._latencies.append(latency)
        late = self._latency_known and self.latency >= LATE
        text = f"messages come {self.latency:.2f} s after their second"
        self.trust.report("pulses", (Trouble(Doubt.LATENCY, text),) if late else ())

    def delayed(self, latency: float) -> None:
        """Its messages come at another time after their seconds from now on."""
        self._latencies.clear()
        self.paired(latency)

    def estimate(self, at: RawNs) -> Estimate | None:
        estimate = super().estimate(at)
        return estimate and replace(estimate, offset_ns=estimate.offset_ns + nanoseconds(self.latency))

    def review(self, now: MonoNs, served: ClockMapping) -> list[Action]:
        """Notice that a fix was acquired or lost."""
        if self.healthy and self.silent(now):
            self.healthy = False
            self._last_second = WallNs(0)
            self._streak = 0
            text = f"GPS fix lost: no usable message for {self.age(now):.1f}s. {self.reason(now)}"
            return [Note(Level.WARNING, text)]
        if not self.healthy and self._streak >= self.ACQUIRE_AFTER:
            self.healthy = True
            return [Note(Level.INFO, self._acquired(served))]
        return []

    def snapshot(self, now: MonoNs, served: ClockMapping, choice: Choice) -> SourceSnapshot:
        return replace(
            super().snapshot(now, served, choice),
            fix=self._fix,
            message_latency=self.latency if self._latency_known else None,
        )

    def _objection(self, message: TimeMessage, now: MonoNs) -> Reason | None:
        fix, settings = message.fix, self.settings
        if fix.quality in NEVER_A_FIX:
            return Reason.NO_FIX
        if fix.quality.rank < settings.min_quality.rank:
            return Reason.POOR_QUALITY
        if (fix.satellites_used or 0) < settings.min_satellites:
            return Reason.TOO_FEW_SATELLITES
        if message.second <= self._last_second and not self.silent(now):
            return Reason.STALE
        return None

    def _acquired(self, served: ClockMapping) -> str:
        latest, fix = self.estimator.latest, self._fix
        assert latest is not None
        assert fix is not None
        return (
            f"GPS fix acquired! Offset: {self._offset(latest, served):.6f}s, "
            f"Satellites: {fix.satellites_used or 0}, Quality: {fix.quality.label}"
        )

    def _offset(self, sample: Sample, served: ClockMapping) -> float:
        return super()._offset(sample, served) + self.latency


def seconds_named(message: TimeMessage) -> bool:
    """Whether a message names a whole second, and so the pulse that began it."""
    return seconds(message.second).is_integer()
