"""What sources report goes in, clock commands and snapshots come out. The only writer of system state."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.algorithms.leap_list import LeapTable
from ntp_usg.core.base.actions import Action, HostClockMoved, Leave, Level, Note, Publish, Steer
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.ports import Clock
from ntp_usg.core.base.samples import (
    DeviceStatus,
    Fix,
    Measurement,
    MessageLatency,
    Pulse,
    PulseCorrection,
    Reception,
    TimeMessage,
)
from ntp_usg.core.base.snapshots import ServerPath, ServingState, SourceSnapshot, SyncPhase, SystemSnapshot, Tally
from ntp_usg.core.base.verdicts import Reason, Verdict
from ntp_usg.core.engine.change_watch import ChangeWatch
from ntp_usg.core.engine.containment import contained
from ntp_usg.core.engine.identity import Identity
from ntp_usg.core.engine.leadership import Leadership
from ntp_usg.core.engine.leap_watch import LeapWatch
from ntp_usg.core.engine.pulse_line import PulseLine
from ntp_usg.core.engine.roster import Roster
from ntp_usg.core.engine.second_count import SecondCount
from ntp_usg.core.engine.settings import EngineSettings
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.steering import Steering
from ntp_usg.core.engine.trust import OF_THE_SIGNAL, weigh
from ntp_usg.core.server.responder import unusable

TICK = 1.0
"""Seconds between two reviews of the sources, where a reference clock can fall silent within seconds."""
NETWORK_TICK = 8.0
"""The same where there are only servers, which are asked once a minute ..."""
CALM_TICK = 40.0
"""... and while one of them leads: nothing happens then without a request, but answers need a state that lives."""
HOST_STEP_NS = 1_000_000
"""The host's wall and monotonic clocks are slewed alike: that they part by more is a step, made by somebody else."""
SYSTEM_RATE = 600e-6
"""How fast raw time may leave the monotonic clock, which the kernel corrects together with the system's clock."""
PREDICTABLE = 0.25
"""Up to an error bound of this share of their period the clock or servers may number pulses."""
BY_MESSAGES = 0.18
"""The same while the clock follows messages: less than their 0.2 s where nobody knows how late they come, because such
a clock may be at another pulse."""


@dataclass(frozen=True, slots=True)
class Learned:
    """What is worth keeping over a restart; rates in seconds per second."""

    rate: float
    deviation: float
    holdover: Mapping[str, object]
    latencies: Mapping[str, Mapping[str, MessageLatency]] = field(default_factory=dict)
    """How late the parts of receivers' bursts come, by `Receiver.key`: those that pulses have shown in this run."""


class Engine:
    """Pairs, filters and selects what the sources report, and says how the clock must run.

    `random_bits(n)` gives n unpredictable bits, for requests that nobody can forge answers to; `model` is what
    was learned of the oscillator before a restart.
    """

    def __init__(
        self,
        settings: EngineSettings,
        clock: Clock,
        random_bits: Callable[[int], int],
        model: HoldoverModel | None = None,
    ) -> None:
        host, now = clock.read()
        self._settings = settings
        self._clock = clock
        roster = Roster(settings, clock, random_bits, now)
        self._receivers, self._lines, self._servers = roster.receivers, roster.lines, roster.servers
        self._clocks, self._sources = roster.clocks, roster.all
        self.containment = roster.containment
        self._steering = Steering(settings, model or HoldoverModel())
        self._identity = Identity(self._servers)
        self._leap = LeapWatch(settings.leap_table, smear=settings.leap_smear)
        self._leadership = Leadership(roster, settings.selection, clock, self._steering, now)
        self._changes = ChangeWatch(roster, now)
        self._count = SecondCount(roster, self._leadership, self._steering, clock, settings.panic_threshold)
        self._has_clocks = bool(self._sources.keys() - self._servers.keys())
        self._reviewed_at = self._checked_at = now
        self._review_by: MonoNs | None = now
        """When something is due that the next tick might come too late for."""
        self._raw_minus_mono = clock.raw(host) - now

    @contained
    def message(self, name: str, message: TimeMessage) -> list[Action]:
        """Take in a second named by a receiver."""
        _, now = self._clock.read()
        receiver = self._receivers[name]
        received_at = self._clock.raw(receiver.stamp(message))
        reason = receiver.message(message, received_at, now)
        believed = reason in (Reason.USED, Reason.OUTLIER)
        actions = self._count.message(receiver, message, received_at, now) if believed else []
        return actions + self._advance(receiver, reason)

    @contained
    def pulse(self, name: str, pulse: Pulse) -> list[Action]:
        """Take in an edge of a pulse line."""
        _, now = self._clock.read()
        line = self._lines[name]
        line.stamped_within(pulse.uncertainty)
        edge_at = self._clock.raw(pulse.edge_at)
        return self._advance(line, line.pulse(edge_at, now, self._predicted(line, edge_at, now), pulse.end))

    @contained
    def correction(self, name: str, correction: PulseCorrection) -> None:
        """Take in a receiver's word on its next pulse."""
        for line in self._lines.values():
            with self.containment.of(line.settings.name):
                if line.belongs_to(name):
                    line.correct(correction)

    @contained
    def sample(self, name: str, measurement: Measurement) -> list[Action]:
        """Take in a reading of a clock that tells the whole time."""
        _, now = self._clock.read()
        clock = self._clocks[name]
        if clock.is_fallback:
            measurement = replace(measurement, offset_ns=self._clock.serving().correction_ns(measurement.at))
        correction_ns = measurement.at - self._clock.raw(measurement.at)
        return self._advance(clock, clock.measurement(measurement, correction_ns, now))

    @contained
    def fix(self, name: str, fix: Fix) -> None:
        """Take in news of a receiver's state that has no time in it."""
        _, now = self._clock.read()
        self._receivers[name].fix(fix, now)

    @contained
    def reception(self, name: str, reception: Reception) -> None:
        """Take in what a receiver finds wrong with itself, its antenna and the air."""
        self._sources[name].reception(reception)

    @contained
    def located(self, name: str, reference_id: bytes) -> None:
        """Take in what our reference id is while we follow a server: its address was found (RFC 5905 figure 12)."""
        self._servers[name].locate(reference_id)

    @contained
    def reached(self, name: str, path: ServerPath, *, is_ours: bool = False) -> None:
        """Take in between which addresses a server is asked now, and whether we ourselves answer there."""
        self._servers[name].path = path
        self._servers[name].is_ours = is_ours

    @contained
    def seen_as(self, name: str, reference_id: bytes, others: frozenset[bytes] = frozenset()) -> None:
        """Take in what a server's reference id is if it follows us: then we must not follow it.

        `others` are those if it does so at another of our addresses.
        """
        association = self._servers[name].association
        association.own_reference_id, association.other_reference_ids = reference_id, others

    @contained
    def sent(self, name: str, at: HostNs) -> None:
        """Take in when the latest request to a server left."""
        self._servers[name].association.sent(self._clock.raw(at))

    @contained
    def receive(self, name: str, data: bytes, at: HostNs) -> list[Action]:
        """Take in an answer of a server."""
        _, now = self._clock.read()
        server = self._servers[name]
        raw = self._clock.raw(at)
        reason = server.receive(
            data, raw, now, self._clock.current().wall(raw), partial(self._identity.objection, name)
        )
        refused: list[Action] = []
        if reason in (Reason.KISS_DENY, Reason.KISS_RSTR):
            refused.append(Leave(name, reason.explanation, for_ever=True))
        counts = self._leadership.choice(name).tally is not Tally.FALSETICKER
        news = self._changes.hear(server, self._clock.current(), raw, now, counts=counts)
        return [*refused, *news, *self._advance(server, reason)]

    def network_returned(self) -> list[Action]:
        """Take in that an interface, an address or a route has come (back): ask who could not be reached."""
        _, now = self._clock.read()
        lost = []
        for name, server in self._servers.items():
            with self.containment.of(name):
                if server.association.network_returned(now) and not server.reach:
                    lost.append(name)
        return [Note(Level.INFO, f"The network has changed: asking {', '.join(lost)} again")] if lost else []

    def leap_list(self, table: LeapTable) -> None:
        """Take in a newer list of leap seconds."""
        self._leap.replace(table)

    def temperature(self, celsius: float | None) -> None:
        """Take in how warm it is where the oscillator is; None where nobody knows any more."""
        self._steering.temperature = celsius

    def device(self, name: str, status: DeviceStatus) -> list[Action]:
        """Take in that a device was opened or is gone; also of a source that is out, since it is told only once."""
        with self.containment.of(name):
            self._sources[name].device(status)
        level = Level.INFO if status.connected else Level.WARNING
        return [Note(level, f"{name}: {status.detail}")] if status.is_news else []

    @contained
    def verdict(self, name: str, verdict: Verdict) -> None:
        """Count what a driver itself had to judge."""
        self._sources[name].judge(verdict)

    def deadline(self) -> MonoNs:
        """When `timer` wants to be called next."""
        requests = (
            self.containment.resumes_at(name, server.association.deadline()) for name, server in self._servers.items()
        )
        return min([self._review_at(), *requests])

    def review_soon(self) -> None:
        """Take in that somebody has set the host's clock: `timer` is due."""
        self._review_by = self._clock.read()[1]

    def timer(self) -> list[Action]:
        """Ask servers that are due; review the sources, and age what nobody renews."""
        host, now = self._clock.read()
        requests = [*self._requests(now)]
        actions = [*requests, *self.containment.faults()]
        if now < self._review_at() and not requests:  # a request empties the reach register of who is silent
            return actions
        self._reviewed_at, self._review_by = now, None
        actions += self._check_host_clock(host, now)
        served, raw = self._clock.current(), self._clock.raw(host)
        shift_ns = self._leap.happen(served.wall(raw))
        if shift_ns:
            self._review_by = now  # the rest comes when the clock has leapt
            return [*actions, *self._leap_over(shift_ns, served), Publish()]
        actions += self._watch_leap(raw, served, now)
        for name in self._sources:
            with self.containment.of(name):
                self._sources[name].poll(now)
                actions += self._sources[name].review(now, served)
        actions += self._count.review(raw, now)
        self._leadership.judge(raw, now)
        for source in self._sources.values():
            actions += source.trust.review(now)
        leadership = self._leadership
        loss = leadership.loss(now)
        if loss is None or not (self._steering.follows and self._changes.asking(now)):  # their answers decide
            actions += self._steering.review(raw, served, now, loss, leadership.contested, leadership.reserve)
        return [*actions, *self.containment.faults(), Publish()]

    def serving(self) -> ServingState:
        """What answers may say now."""
        host, now = self._clock.read()
        mapping = self._clock.serving()
        leap = self._leap.announced(mapping.wall(host))
        state = self._steering.serving(self._leap.smeared(mapping, host), leap, host, now)
        if self._host_jump(host, now):  # the next review starts again
            state = unusable(state, b"INIT")
        self._identity.publish(state)
        return state

    @property
    def standing(self) -> tuple[SyncPhase, str | None]:
        """The phase, and whom the clock follows: what people want to hear of at once."""
        return self._steering.reported_phase, self._leadership.system_peer

    def tai_offset(self) -> int | None:
        """Seconds that TAI is ahead of UTC, where that is known."""
        host, _ = self._clock.read()
        return self._leap.tai_offset(self._clock.serving().wall(host))

    def learned(self) -> Learned | None:
        """What a restart need not learn again; None before the first lock."""
        raw = self._clock.raw(self._clock.read()[0])
        leaders = [self._sources[name].estimate(raw) for name in self._leadership.leaders]
        estimate = next((each for each in leaders if each is not None), None)
        if estimate is None:
            return None
        latencies = {each.key: shown for each in self._receivers.values() if (shown := each.latencies)}
        return Learned(estimate.rate, estimate.rate_deviation, self._steering.saved_holdover(), latencies)

    def snapshot(self) -> SystemSnapshot:
        """The state as people see it."""
        host, now = self._clock.read()
        raw, current = self._clock.raw(host), self._clock.current()
        steering, leadership = self._steering, self._leadership
        return SystemSnapshot(
            serving=self.serving(),
            phase=steering.reported_phase,
            selected=leadership.system_peer,
            reserve=leadership.reserve,
            offset=steering.remaining(raw, current),
            jitter=steering.jitter,
            frequency_ppm=-current.rate * 1e6 if steering.locked else None,
            host_offset=seconds(self._clock.serving().correction_ns(host)) if steering.locked else None,
            clock=self._clock.name,
            holdover_age=steering.holdover_age(now),
            holdover_left=None if leadership.reserve else steering.holdover_left,
            sources=tuple(self._source_snapshots(now, current)),
        )

    def _requests(self, now: MonoNs) -> Iterator[Action]:
        """To the servers that are to be asked now."""
        for name in self._servers:
            if not self.containment.is_out(name):
                with self.containment.of(name):
                    yield from self._servers[name].ask(now, self._leadership.choice(name).tally)

    def _source_snapshots(self, now: MonoNs, current: ClockMapping) -> Iterator[SourceSnapshot]:
        for name in self._sources:
            with self.containment.of(name):
                yield self._sources[name].snapshot(now, current, self._leadership.choice(name))

    @property
    def _tick(self) -> float:
        """Seconds from one review to the next."""
        if self._has_clocks:
            return TICK
        calm = self._steering.phase is SyncPhase.SYNCHRONISED and self._leadership.system_peer is not None
        return CALM_TICK if calm else NETWORK_TICK

    def _review_at(self) -> MonoNs:
        """At the next tick, or when a source falls silent: people hear of a loss as soon as it is one."""
        moments = [self._review_by, *(source.falls_silent_at for source in self._sources.values())]
        next_tick = MonoNs(self._reviewed_at + nanoseconds(self._tick))
        return min([next_tick, *(at for at in moments if at is not None)])

    def _advance(self, source: Source, reason: Reason) -> list[Action]:
        """After a sample: if its source is among those that lead, let them correct the clock."""
        host, now = self._clock.read()
        current, raw = self._clock.current(), self._clock.raw(host)
        actions = source.review(now, current)
        departure = source.check.departed()
        if departure is not None and source.settings.name in self._leadership.leaders:
            self._steering.retract(departure.since, now)
        if reason is Reason.OUTLIER:
            return [*actions, *self._contradict(source, current, now)]
        if reason is not Reason.USED:
            return actions
        self._share_doubts()
        self._leadership.judge(raw, now)
        if source.settings.name not in self._leadership.leaders:
            return actions
        bound = self._steering.error_bound(now)
        corrections = self._steering.correct(self._leadership.lead(raw), raw, current, now)
        steered = next((action.mapping for action in corrections if isinstance(action, Steer)), current)
        self._steering.allow(min(bound, source.possible_error(steered)), now)
        return [*actions, *corrections, *self._contradict(source, steered, now), Publish()]

    def _contradict(self, source: Source, served: ClockMapping, now: MonoNs) -> list[Action]:
        """Nobody knows yet whether a source that is followed is wrong, or the clock: the bound covers both at once."""
        error = source.contradiction(served, self._steering.error_bound(now))
        if not error or not self._leadership.follows(source.settings.name):
            return []
        self._steering.contradict(error, now)
        return [Publish()]

    def _share_doubts(self) -> None:
        """What a receiver hears its pulses come from: they are trusted no more than the best of the receivers."""
        doubts = [receiver.trust.of(OF_THE_SIGNAL) for receiver in self._receivers.values()]
        least = max(doubts, key=weigh) if doubts else ()
        for line in self._lines.values():
            line.trust.report("receiver", least)

    def _watch_leap(self, raw: RawNs, served: ClockMapping, now: MonoNs) -> list[Action]:
        """Let all vote that tell the truth, whether they lead or not; and be there in time."""
        wall = served.wall(raw)
        voices = [voice for source in self._leadership.truechimers() if (voice := source.announcement())]
        actions = self._leap.review(wall, voices)
        if (left := self._leap.due_in(wall)) is not None:
            self._review_by = MonoNs(now + nanoseconds(left))
        return actions

    def _leap_over(self, shift_ns: int, served: ClockMapping) -> list[Action]:
        """Count on after a leap second. The system's clock has been told, and leaps by itself."""
        for name in self._sources:
            with self.containment.of(name):
                self._sources[name].shift(shift_ns)
        self._steering.shift(shift_ns)
        actions: list[Action] = [Note(Level.INFO, f"Leap second: the clock goes on {seconds(shift_ns):+.0f}s")]
        if self._clock.name != "system":
            actions.append(Steer(replace(served, offset_ns=served.offset_ns + shift_ns), step=True))
        return actions

    def _predicted(self, line: PulseLine, edge_at: RawNs, now: MonoNs) -> int | None:
        """True minus raw time at a pulse, where clock or servers are good enough to tell one pulse from the next."""
        correction_ns = self._clock.current().correction_ns(edge_at)
        period = 1 / line.settings.rate_hz
        share = BY_MESSAGES if self._leadership.follows_messages else PREDICTABLE
        if self._steering.error_bound(now) <= share * period:
            return correction_ns
        majority = self._leadership.majority
        if majority is None or majority.half_width > PREDICTABLE * period:
            return None
        return correction_ns + nanoseconds(majority.middle)

    def _host_jump(self, host: HostNs, now: MonoNs) -> int:
        """By how much somebody has set the host's clock since the last review, or the machine has slept; 0 if not."""
        jump = self._clock.raw(host) - now - self._raw_minus_mono
        drift_ns = round(SYSTEM_RATE * (now - self._checked_at)) if self._clock.name == "system" else 0
        return 0 if abs(jump) < HOST_STEP_NS + drift_ns else jump

    def _check_host_clock(self, host: HostNs, now: MonoNs) -> list[Action]:
        """Another program may set the clock under us: all samples then lie on a timeline that has ended."""
        jump = self._host_jump(host, now)
        self._raw_minus_mono, self._checked_at = self._clock.raw(host) - now, now
        if not jump:
            return []
        for name in self._sources:
            with self.containment.of(name):
                self._sources[name].renew()
        self._steering.restart()
        self._changes.restart(now)
        return [HostClockMoved(seconds(jump))]
