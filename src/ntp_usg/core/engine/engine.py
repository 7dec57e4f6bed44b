"""What the drivers observe goes in, clock commands and snapshots come out. The only writer of system state."""

from collections.abc import Iterable
from itertools import chain

from ntp_usg.core.base.actions import Action, Level, Note, Publish
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, nanoseconds, seconds
from ntp_usg.core.base.ports import Clock
from ntp_usg.core.base.samples import DeviceStatus, Fix, Pulse, TimeMessage
from ntp_usg.core.base.snapshots import SystemSnapshot, Tally
from ntp_usg.core.base.verdicts import Reason, Verdict
from ntp_usg.core.engine.numbering import Agreement
from ntp_usg.core.engine.pulse_line import PulseLine
from ntp_usg.core.engine.receiver import Receiver, seconds_named
from ntp_usg.core.engine.settings import EngineSettings
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.steering import Lead, Steering

TICK = 1.0
"""Seconds between two reviews of the sources, and so between two snapshots at the latest."""
HOST_STEP_NS = 2_000_000
"""The host's wall clock may leave its monotonic one by this in a tick (slewing at 500 ppm); more is a step."""
PREDICTABLE = 0.25
"""Up to this error bound in seconds the served clock may number the second of a pulse."""


class Engine:
    """Pairs, filters and selects what the reference clocks report, and says how the clock must run."""

    def __init__(self, settings: EngineSettings, clock: Clock) -> None:
        host, now = clock.read()
        self._settings = settings
        self._clock = clock
        self._receivers = {each.name: Receiver(each, now) for each in settings.receivers}
        self._lines = {each.name: PulseLine(each, now) for each in settings.pulse_lines}
        self._steering = Steering(settings)
        self._selected: Source | None = None
        self._next_tick = now
        self._raw_minus_mono = clock.raw(host) - now

    def message(self, name: str, message: TimeMessage) -> list[Action]:
        """Take in a second named by a receiver."""
        _, now = self._clock.read()
        receiver = self._receivers[name]
        received_at = self._clock.raw(message.received_at)
        reason = receiver.message(message, received_at, now)
        actions: list[Action] = []
        if reason in (Reason.USED, Reason.OUTLIER) and seconds_named(message):
            for line in self._lines.values():
                actions += self._number(line, receiver, message, received_at)
        return actions + self._advance(receiver, reason)

    def pulse(self, name: str, pulse: Pulse) -> list[Action]:
        """Take in an edge of a pulse line."""
        _, now = self._clock.read()
        line = self._lines[name]
        edge_at = self._clock.raw(pulse.edge_at)
        reason = line.pulse(edge_at, now, self._predicted(edge_at, now))
        return self._advance(line, reason)

    def fix(self, name: str, fix: Fix) -> None:
        """Take in news of a receiver's state that has no time in it."""
        self._receivers[name].fix(fix)

    def device(self, name: str, status: DeviceStatus) -> list[Action]:
        """Take in that a device was opened or is gone."""
        self._source(name).device(status)
        return [Note(Level.INFO if status.connected else Level.WARNING, f"{name}: {status.detail}")]

    def verdict(self, name: str, verdict: Verdict) -> None:
        """Count what a driver itself had to judge."""
        self._source(name).judge(verdict)

    def deadline(self) -> MonoNs:
        """When `timer` wants to be called next."""
        return self._next_tick

    def timer(self) -> list[Action]:
        """Review the sources, age what nobody renews, and publish. Called at the deadline, and after every step."""
        host, now = self._clock.read()
        actions = self._check_host_clock(host, now)
        served = self._clock.current()
        for source in self._sources():
            source.poll(now)
            actions += source.review(now, served)
        self._select(now)
        actions += self._steering.review(now, self._loss(now))
        self._next_tick = MonoNs(now + nanoseconds(TICK))
        return [*actions, Publish(self.snapshot())]

    def snapshot(self) -> SystemSnapshot:
        """The state as it is now."""
        host, now = self._clock.read()
        raw, current = self._clock.raw(host), self._clock.current()
        steering = self._steering
        return SystemSnapshot(
            serving=steering.serving(self._clock.serving(), host, now),
            phase=steering.phase,
            selected=self._selected.settings.name if self._selected else None,
            offset=steering.remaining(raw, current),
            jitter=steering.jitter,
            frequency_ppm=-current.rate * 1e6,
            host_offset=seconds(self._clock.serving().correction_ns(host)),
            clock=self._clock.name,
            epoch=steering.epoch,
            holdover_age=steering.holdover_age(now),
            sources=tuple(source.snapshot(now, current, self._tally(source)) for source in self._sources()),
        )

    def _advance(self, source: Source, reason: Reason) -> list[Action]:
        """After a sample: let the source that leads correct the clock."""
        host, now = self._clock.read()
        current = self._clock.current()
        actions = source.review(now, current)
        self._select(now)
        if reason is not Reason.USED or source is not self._selected:
            return actions
        raw = self._clock.raw(host)
        estimate = source.estimate(raw)
        assert estimate is not None, "a selected source has an estimate"
        lead = Lead(estimate, source.accuracy, source.settings.reference_id)
        actions += self._steering.correct(lead, raw, current, now)
        self._next_tick = now
        return actions

    def _select(self, now: MonoNs) -> None:
        """A numbered pulse line leads; messages alone only where no pulses are to be awaited."""
        candidates: Iterable[Source] = self._lines.values()
        if not any(line.awaited(now) for line in self._lines.values()):
            candidates = chain(candidates, self._receivers.values())
        ready = (source for source in candidates if source.healthy and source.history.ready)
        self._selected = next(ready, None)

    def _number(self, line: PulseLine, receiver: Receiver, message: TimeMessage, received_at: RawNs) -> list[Action]:
        pairing = line.numbering.message(message.second, received_at)
        match pairing.agreement:
            case Agreement.AGREED:
                receiver.paired(pairing.latency)
            case Agreement.DISPUTED:
                line.reject(Reason.NUMBERING_DISPUTED)
            case Agreement.RENUMBERED:
                line.history.restart()
                self._steering.restart()
                text = f"{receiver.settings.name} names other seconds than {line.settings.name} has counted to"
                return [Note(Level.WARNING, f"{text}: starting again")]
            case Agreement.UNPAIRED | Agreement.NUMBERED:
                pass
        return []

    def _predicted(self, edge_at: RawNs, now: MonoNs) -> int | None:
        """True minus raw time at a pulse, where the served clock is good enough to tell one second from the next."""
        if self._steering.error_bound(now) > PREDICTABLE:
            return None
        return self._clock.current().correction_ns(edge_at)

    def _check_host_clock(self, host: HostNs, now: MonoNs) -> list[Action]:
        """Another program may set the clock under us: all samples then lie on a timeline that has ended."""
        raw_minus_mono = self._clock.raw(host) - now
        jump = raw_minus_mono - self._raw_minus_mono
        self._raw_minus_mono = raw_minus_mono
        if abs(jump) < HOST_STEP_NS:
            return []
        for receiver in self._receivers.values():
            receiver.history.restart()
        for line in self._lines.values():
            line.renew()
        self._steering.restart()
        text = f"Another program moved the host's clock by {seconds(jump):+.6f}s: starting again"
        return [Note(Level.WARNING, text)]

    def _loss(self, now: MonoNs) -> str | None:
        """Why no source leads, in words; None while one does."""
        if self._selected is not None:
            return None
        reasons = [f"{source.settings.name}: {source.reason(now)}" for source in self._sources()]
        return " ".join(reasons) or "No reference clock is configured."

    def _tally(self, source: Source) -> Tally:
        if source is self._selected:
            return Tally.PPS if isinstance(source, PulseLine) else Tally.SELECTED
        if not source.healthy:
            return Tally.REJECTED
        # The receiver that numbers the pulses is the peer that the clock follows, in ntpq's eyes.
        follows_pulse = isinstance(self._selected, PulseLine) and isinstance(source, Receiver)
        return Tally.SELECTED if follows_pulse else Tally.CANDIDATE

    def _source(self, name: str) -> Receiver | PulseLine:
        return self._receivers.get(name) or self._lines[name]

    def _sources(self) -> Iterable[Receiver | PulseLine]:
        return chain(self._receivers.values(), self._lines.values())
