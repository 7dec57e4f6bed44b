"""A receiver that names seconds: which of its messages may be believed, and how late they come."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from ntp_usg.core.algorithms.estimator import Estimate, Estimator, NoiseModel
from ntp_usg.core.algorithms.latency import LatencyBook
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.algorithms.selection import Choice
from ntp_usg.core.algorithms.witness import Witness
from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.dates import is_possible
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import DeviceStatus, Fix, FixQuality, MessageLatency, Sample, TimeMessage
from ntp_usg.core.base.snapshots import LatencyOrigin, Leap, SourceSnapshot
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.cross_check import CrossCheck
from ntp_usg.core.engine.position_watch import PositionWatch
from ntp_usg.core.engine.settings import ReceiverSettings
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.trust import judge_geometry

MESSAGE_NOISE = NoiseModel(expected=5e-3, floor=10e-6, gate=50e-3)
"""Serial messages wander by milliseconds: the receiver writes them when it has time to."""
LATE = 0.4
"""Seconds after which a message comes so late that people should know: a little more, and it names another pulse."""
SAVED_MARGIN = 5e-3
"""Seconds by which the messages' error may be larger than it was before the restart: nothing is measuring it now."""
MISFIT = 20e-3
"""Parts of a burst that keep another distance than they did, by so much, are not those that were measured."""
JUMP = 0.5
"""Seconds by which the time between two messages differs from that between the instants that they name."""
NEVER_A_FIX = frozenset({FixQuality.NO_FIX, FixQuality.MANUAL, FixQuality.SIMULATION})


class _Lateness(NamedTuple):
    """How late messages are taken to be, how far that may be off, and whose word it is. Seconds."""

    latency: float
    bound: float
    origin: LatencyOrigin


class Receiver(Source):
    """The message side of a GNSS receiver."""

    ACQUIRE_AFTER = 3
    """So many good messages in a row make a fix: a receiver that repeats itself never gets there."""
    MISSED = 10
    """So many bursts in a row without the part that is timed, and another one is; or unlike those that were saved."""

    settings: ReceiverSettings

    def __init__(
        self,
        settings: ReceiverSettings,
        estimator: Estimator,
        now: MonoNs,
        saved: Mapping[str, Mapping[str, MessageLatency]] = MappingProxyType({}),
    ) -> None:
        """`saved` has the latencies of all receivers that ever were here, by `key`."""
        super().__init__(settings, estimator, now, Witness(MESSAGE_NOISE.expected, settings.accuracy))
        self._fix: Fix | None = None
        self._place = PositionWatch()
        self._timed_part: str | None = None
        self._missed = 0
        self._misfits = 0
        self._since_stamp: Mapping[str, float] = {}
        self._saved = saved
        self._identity = ""
        self._book = LatencyBook(saved.get(self.key))
        self._leap: int | None = None
        self._last_second = WallNs(0)
        self._streak = 0
        self._named: tuple[WallNs, RawNs] | None = None
        self.renamed = True
        """Whether it was the receiver that jumped to other seconds, and not the line that became late."""

    @property
    def only_names_seconds(self) -> bool:
        return True

    @property
    def key(self) -> str:
        """What its latencies are kept under: another receiver, or the same at another speed, has another."""
        return " ".join(filter(None, (self.settings.driver, self.settings.device, self._identity)))

    @property
    def latency(self) -> float:
        """How long after its second a message arrives, in seconds."""
        return self._lateness.latency

    @property
    def latency_origin(self) -> LatencyOrigin:
        """Who told the latency."""
        return self._lateness.origin

    @property
    def latencies(self) -> Mapping[str, MessageLatency]:
        """The same of each part of a burst, as pulses have shown it."""
        return self._book.measured()

    @property
    def accuracy(self) -> float:
        return self._lateness.bound

    @property
    def _lateness(self) -> _Lateness:
        """What pulses show; without them what was configured, else what they showed before the restart."""
        settings, part = self.settings, self._timed_part or ""
        known = self._book.read(part)
        if known and self._book.is_measured(part):
            return _Lateness(known.median, known.bound, LatencyOrigin.PULSES)
        if settings.latency:
            return _Lateness(settings.latency, settings.accuracy, LatencyOrigin.CONFIGURED)
        if known:
            return _Lateness(known.median, known.bound + SAVED_MARGIN, LatencyOrigin.SAVED)
        return _Lateness(0.0, settings.accuracy, LatencyOrigin.UNKNOWN)

    def device(self, status: DeviceStatus) -> None:
        super().device(status)
        if status.connected and status.identity != self._identity:
            self._identity = status.identity
            self._book = LatencyBook(self._saved.get(self.key))

    def fix(self, fix: Fix, now: MonoNs) -> None:
        """News of the receiver's state without a time in it."""
        self._fix = fix
        self.trust.report("sky", judge_geometry(fix) if fix.quality.rank else ())
        if fix.position is not None and fix.quality.rank and not self.settings.mobile:
            self.trust.report("place", self._place.see(fix.position, now))

    def stamp(self, message: TimeMessage) -> HostNs:
        """When a message came: always as by the same part of its burst, whichever comes first this time."""
        arrivals = dict(message.arrivals) or {"": message.received_at}
        stamp = arrivals.get(self._timed_part) if self._timed_part is not None else None
        self._missed = 0 if stamp is not None else self._missed + 1
        if stamp is None:
            stamp = self._stamp_by_another(message)
        self._since_stamp = {part: seconds(at - stamp) for part, at in arrivals.items()}
        is_misfit = self._lateness.origin is LatencyOrigin.SAVED and not self._fits()
        self._misfits = self._misfits + 1 if is_misfit else 0
        return stamp

    def _stamp_by_another(self, message: TimeMessage) -> HostNs:
        """When the part that is timed would have come, where that can be told from the one that did."""
        part = message.stamped_by
        if self._timed_part is not None:
            timed, other = self._book.read(self._timed_part), self._book.read(part)
            if timed and other:
                return HostNs(message.received_at - nanoseconds(other.median - timed.median))
        if self._timed_part is None or self._missed > self.MISSED:
            self._timed_part = part
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
        step = self._follow(message.second, received_at)
        reason = Reason.STALE if step == 0 else self._objection(message, now)
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

    def _follow(self, second: WallNs, received_at: RawNs) -> float:
        """Tell a receiver that jumps from a line that falls behind, where the next second comes late; give the step."""
        named, received_before = self._named or (WallNs(second - NS_PER_SECOND), RawNs(received_at - NS_PER_SECOND))
        self._named = second, received_at
        step = seconds(second - named)
        jump = step - seconds(received_at - received_before)
        if abs(jump) > JUMP:
            self.renamed = step <= 0 or (jump > 0 and step > 1)
        return step

    def believe(self) -> None:
        """What it says now is right, and what it said before was not: nothing speaks against it any more."""
        self.check = CrossCheck()
        self.trust.restore("others")
        self.restart()

    def paired(self, latency: float) -> None:
        """A pulse has shown how late the latest message was."""
        self._book.learn({part: latency + later for part, later in self._since_stamp.items()})
        self._since_stamp = {}  # every pulse line shows it, and it counts once
        late = self._lateness.origin is LatencyOrigin.PULSES and self.latency >= LATE
        text = f"messages come {self.latency:.2f} s after their second"
        self.trust.report("pulses", (Trouble(Doubt.LATENCY, text),) if late else ())

    def delayed(self, latency: float) -> None:
        """Its messages come at another time after their seconds from now on."""
        self._book = LatencyBook()
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
        if not self.healthy and self._streak >= self.ACQUIRE_AFTER and self.estimator.latest is not None:
            self.healthy = True
            return [Note(Level.INFO, self._acquired(served)), *self._told_latency()]
        return self._doubt_saved()

    def snapshot(self, now: MonoNs, served: ClockMapping, choice: Choice) -> SourceSnapshot:
        return replace(
            super().snapshot(now, served, choice),
            fix=self._fix,
            message_latency=self.latency if self._lateness.origin else None,
            latency_origin=self._lateness.origin,
            timed_part=self._timed_part or "",
            latencies=self.latencies,
        )

    def _told_latency(self) -> list[Action]:
        """What was saved is used without anybody's asking for it: people should know."""
        latency, bound, origin = self._lateness
        if origin is not LatencyOrigin.SAVED:
            return []
        late = f"{self._timed_part} comes" if self._timed_part else "its messages come"
        text = f"{self.settings.name}: {late} {latency:.4f} s late, +- {bound:.4f} s, as measured in an earlier run"
        return [Note(Level.INFO, text)]

    def _doubt_saved(self) -> list[Action]:
        """Of a burst that does not look as it did, what was saved is not true: sentences or the receiver are others."""
        if self._misfits <= self.MISSED:
            return []
        self._misfits = 0
        self._book = LatencyBook()
        text = f"{self.settings.name}: its messages have changed: their saved latency is not used any more"
        return [Note(Level.WARNING, text)]

    def _fits(self) -> bool:
        """Whether the parts of a burst keep the distances that they had when their latencies were measured."""
        timed = self._book.read(self._timed_part or "")
        for part, later in self._since_stamp.items():
            known = self._book.read(part)
            if timed and known:
                usual = known.median - timed.median
                if abs(later - usual) > MISFIT + known.bound + timed.bound:
                    return False
        return True

    def _objection(self, message: TimeMessage, now: MonoNs) -> Reason | None:
        fix, settings = message.fix, self.settings
        if not is_possible(message.second):
            return Reason.IMPLAUSIBLE
        if fix.quality in NEVER_A_FIX:
            return Reason.NO_FIX
        if fix.quality.rank < settings.min_quality.rank:
            return Reason.POOR_QUALITY
        # With its position known, one satellite gives a receiver the time.
        needed = min(settings.min_satellites, 1) if fix.dimensions == 1 else settings.min_satellites
        if needed and fix.satellites_used is None:
            return Reason.SATELLITES_UNKNOWN
        if (fix.satellites_used or 0) < needed:
            return Reason.TOO_FEW_SATELLITES
        repeats = message.second <= self._last_second and not self.silent(now)
        return Reason.STALE if repeats else None

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
