"""How the clock is corrected, and what may be promised of it: from the first lock through holdover to giving up."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.algorithms.steadiness import Steadiness
from ntp_usg.core.base.actions import Action, Level, Note, Steer
from ntp_usg.core.base.durations import format_duration
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import UNSYNCHRONISED_STRATUM, Leap, ServingState, SyncPhase
from ntp_usg.core.engine.cross_check import Belief
from ntp_usg.core.engine.error_bound import ErrorBound
from ntp_usg.core.engine.holdover_limit import holdover_limit
from ntp_usg.core.engine.settings import EngineSettings

SYNCHRONISED_PHASES = (SyncPhase.SYNCHRONISED, SyncPhase.HOLDOVER)
LEARN_INTERVAL = 60.0
"""Seconds between two frequencies that the holdover model learns from."""
ANOTHER_SECOND = 0.5
"""A step by more seconds is one to another second."""
REMEMBERED = 64
"""So many leads, a second apart at least, can be taken back."""


@dataclass(frozen=True, slots=True)
class Lead:
    """What the leading sources say together, and how far they may be believed. Intervals in seconds."""

    estimate: Estimate
    root_delay: float
    root_dispersion: float
    stratum: int
    reference_id: bytes


class Steering:
    """Turns estimates into corrections and keeps the books on the error that is left."""

    def __init__(self, settings: EngineSettings, model: HoldoverModel) -> None:
        self._settings = settings
        self._limit = holdover_limit(settings)
        self.phase = SyncPhase.STARTING
        self.epoch = 0
        self.holdover_left: float | None = None
        """Seconds until we shall say that we are unsynchronised; None while there is no holdover."""
        self.budget_spent = False
        """Whether holdover is at its end; with a source in reserve we stay synchronised until that leads."""
        self._reserve: str | None = None
        self.temperature: float | None = None
        """Of the oscillator's surroundings, in celsius, where somebody measures it."""
        self._model = model
        self._learned_at: RawNs | None = None
        self._lead: Lead | None = None
        self._led_at = RawNs(0)
        self._leads: deque[tuple[RawNs, Lead]] = deque(maxlen=REMEMBERED)
        self._corrections = 0
        self._corrected_at = MonoNs(0)
        self._corrected_wall = WallNs(0)
        self.counting_since: MonoNs | None = None
        """When the clock was first set to the second that it has now, or to another one than before."""
        self._bound = ErrorBound()
        self._steadiness = Steadiness()
        self._panicking = False
        self._leapt_ns = 0
        """By how much leap seconds have moved the count since holdover began, which its model knows nothing of."""

    @property
    def locked(self) -> bool:
        """Whether the clock has been set since the start, or since the timeline last broke."""
        return self._lead is not None

    @property
    def follows(self) -> bool:
        """Whether the clock does as its sources say, as far as is known."""
        return self.phase is SyncPhase.SYNCHRONISED

    @property
    def promises(self) -> bool:
        """Whether answers may say that they are synchronised: behind stratum 15 there is nothing but 16."""
        followed = self._lead.stratum if self._lead else UNSYNCHRONISED_STRATUM
        return self.phase in SYNCHRONISED_PHASES and self.served_stratum(followed) < UNSYNCHRONISED_STRATUM

    @property
    def reported_phase(self) -> SyncPhase:
        """What people should hear: whether answers promise a time, and no holdover while a source is in reserve."""
        if self.phase in SYNCHRONISED_PHASES and not self.promises:
            return SyncPhase.UNSYNCHRONISED
        in_reserve = self.phase is SyncPhase.HOLDOVER and self._reserve is not None
        return SyncPhase.SYNCHRONISED if in_reserve else self.phase

    @property
    def jitter(self) -> float | None:
        """Scatter of what the clock follows, in seconds."""
        return self._lead.estimate.jitter if self._lead else None

    def correct(self, lead: Lead, raw: RawNs, current: ClockMapping, now: MonoNs) -> list[Action]:
        """Follow the leading sources: step at the first lock and when the error is beyond slewing, else slew."""
        error_ns = lead.estimate.offset_ns - current.correction_ns(raw)
        if self._lead is not None and abs(seconds(error_ns)) > self._settings.panic_threshold:
            return self._panic(seconds(error_ns))
        step = self._lead is None or self._may_step(seconds(error_ns))
        mapping = self._step(lead.estimate, raw) if step else self._slew(lead.estimate, raw, current, error_ns)
        actions: list[Action] = [Steer(mapping, step=step)]
        if step:
            self.epoch += 1
            if self._lead is None or abs(seconds(error_ns)) > ANOTHER_SECOND:
                self.counting_since = now
            actions.append(Note(Level.INFO, f"Clock set: stepped by {seconds(error_ns):+.6f}s"))
        elif self.phase is not SyncPhase.SYNCHRONISED:
            age = seconds(now - self._corrected_at)
            text = f"A source leads again after {age:.1f}s: the error was {seconds(error_ns) * 1e6:+.3f}us"
            actions.append(Note(Level.INFO, text))
        self.phase, self.holdover_left, self._panicking = SyncPhase.SYNCHRONISED, None, False
        self.budget_spent, self._reserve = False, None
        self._lead, self._led_at = lead, raw
        if not self._leads or seconds(raw - self._leads[-1][0]) >= 1:
            self._leads.append((raw, lead))
        self._corrections += 1
        self._corrected_at = now
        self._corrected_wall = mapping.wall(raw)
        slewed = 0.0 if step else abs(seconds(error_ns))
        self._steadiness.watch(raw, lead.estimate.rate)
        drift = max(self._settings.least_dispersion, self._steadiness.tolerance, self._drift(lead.estimate))
        self._bound.measure(lead.root_dispersion + slewed, drift, now)
        self._learn(lead.estimate, raw)
        return actions

    def review(  # noqa: PLR0917 - what is known when no source leads
        self,
        raw: RawNs,
        current: ClockMapping,
        now: MonoNs,
        loss: str | None,
        contested: float = 0.0,
        reserve: str | None = None,
    ) -> list[Action]:
        """Go into holdover when no source leads any more; give up when the budget is spent and none is in reserve.

        `contested` is how far off the clock is if it is the oscillator that has changed, and not a source; seconds.
        """
        if loss is None:  # but until the first sample of the source that leads now, holdover goes on
            return self._hold_over(raw, current, now, loss, contested) if self.phase is SyncPhase.HOLDOVER else []
        lost_reserve = self._reserve is not None and reserve is None and self.phase is SyncPhase.HOLDOVER
        self._reserve = reserve
        if lost_reserve:
            return [Note(Level.WARNING, self._warning(loss))]
        if self.phase is SyncPhase.STARTING:
            self.phase = SyncPhase.LOCKING
        elif self.phase is SyncPhase.SYNCHRONISED:
            return self._begin_holdover(raw, now, loss)
        elif self.phase is SyncPhase.HOLDOVER:
            return self._hold_over(raw, current, now, loss, contested)
        return []

    def allow(self, error: float, now: MonoNs) -> None:
        """The sample of the latest correction does not exclude that the clock is off by so many seconds."""
        self._widen(error, now)

    def contradict(self, error: float, now: MonoNs) -> None:
        """A sample says that the clock may be off by so many seconds: the bound covers it until the next correction."""
        self._steadiness.surprise()
        self._widen(error, now)

    def retract(self, since: RawNs, now: MonoNs) -> None:
        """Take back what a source said that turned out to be wrong since then: the lead before that counts.

        The bound stays as wide as it was: that somebody was wrong is no measurement.
        """
        stated = self.error_bound(now)
        while self._leads and self._leads[-1][0] >= since:
            self._leads.pop()
        if self._leads:
            self._led_at, self._lead = self._leads[-1]
            self._widen(stated, now)

    def give_up(self) -> None:
        """Serve no time while nobody knows which second it is."""
        if self.phase in SYNCHRONISED_PHASES:
            self.phase, self.holdover_left = SyncPhase.UNSYNCHRONISED, None

    def restart(self) -> None:
        """Promise nothing until the next lock: the timeline or the numbering of the seconds broke."""
        self.phase, self.holdover_left = SyncPhase.LOCKING, None
        self._lead = None
        self._leads.clear()
        self._steadiness.surprise()
        self._model = HoldoverModel.from_dict(self._model.as_dict())  # the crystal is still the same

    def shift(self, offset_ns: int) -> None:
        """Count on over a leap second; answers from before and after it must not be mixed."""
        self.epoch += 1
        self._leapt_ns += offset_ns
        if self._lead is not None:
            estimate = self._lead.estimate
            moved = replace(estimate, offset_ns=estimate.offset_ns + offset_ns)
            self._lead = replace(self._lead, estimate=moved)
            self._leads.clear()

    def saved_holdover(self) -> Mapping[str, object]:
        """What the model has learned, for the next start."""
        return self._model.as_dict()

    def error_bound(self, now: MonoNs) -> float:
        """Seconds that the served clock may be off; infinite while it is not synchronised."""
        if self.phase not in SYNCHRONISED_PHASES or self._lead is None:
            return float("inf")
        return self._lead.root_delay / 2 + self._bound.at(now)

    def belief(self, now: MonoNs, served: ClockMapping) -> Belief:
        """What a source must contradict to be doubted for it."""
        deviation = self._lead.estimate.rate_deviation if self._lead and self.phase is SyncPhase.SYNCHRONISED else 0.0
        return Belief(self.error_bound(now), served.rate, 3 * deviation)

    def remaining(self, raw: RawNs, current: ClockMapping) -> float | None:
        """Estimated error of the served clock that is still to be slewed away, in seconds; None while nobody leads."""
        if self._lead is None or self.phase is not SyncPhase.SYNCHRONISED:
            return None
        return seconds(self._expected(raw).offset_ns - current.correction_ns(raw))

    def served_stratum(self, stratum: int) -> int:
        """Ours while we follow a source of this stratum."""
        return max(self._settings.stratum, stratum + 1)

    def holdover_age(self, now: MonoNs) -> float | None:
        """Seconds since the last correction, in holdover only."""
        return seconds(now - self._corrected_at) if self.phase is SyncPhase.HOLDOVER else None

    def serving(self, mapping: ClockMapping, leap: Leap, host: HostNs, now: MonoNs) -> ServingState:
        """What answers may say now."""
        lead, settings = self._lead, self._settings
        stratum = self.served_stratum(lead.stratum) if lead else UNSYNCHRONISED_STRATUM
        synchronised = self.promises
        return ServingState(
            leap=leap if synchronised else Leap.UNSYNCHRONISED,
            stratum=stratum if synchronised else UNSYNCHRONISED_STRATUM,
            precision=settings.precision,
            root_delay=lead.root_delay if lead else 0.0,
            root_dispersion=self._bound.at(now),
            dispersion_rate=self._bound.rate,
            reference_id=lead.reference_id if lead and synchronised else b"INIT",
            reference_time=self._corrected_wall,
            mapping=mapping,
            as_of=now,
            expires_at=MonoNs(now + nanoseconds(settings.state_lifetime)),
            host_minus_mono_ns=host - now,
            epoch=self.epoch,
        )

    def _drift(self, estimate: Estimate) -> float:
        """How fast the clock may leave the truth by what is known of it, in seconds per second.

        A first lock knows the time well but not yet the frequency, and beyond `max_rate` it is not corrected.
        """
        return 3 * estimate.rate_deviation + abs(estimate.rate - self._limited(estimate.rate))

    def _expected(self, raw: RawNs) -> Estimate:
        """The latest estimate, carried on at its own rate."""
        assert self._lead is not None
        estimate, elapsed = self._lead.estimate, seconds(raw - self._led_at)
        return replace(estimate, offset_ns=estimate.offset_ns + nanoseconds(estimate.rate * elapsed))

    def _learn(self, estimate: Estimate, raw: RawNs) -> None:
        """Not from the very first estimates, which hardly know the frequency: they would stand for minutes."""
        if self._learned_at is None:
            self._learned_at = raw
        elif seconds(raw - self._learned_at) >= LEARN_INTERVAL:
            self._learned_at = raw
            self._model.learn(raw, estimate.rate, estimate.rate_deviation, self.temperature)

    def _widen(self, error: float, now: MonoNs) -> None:
        """Let the whole bound be at least so many seconds."""
        if self.phase in SYNCHRONISED_PHASES and self._lead is not None:
            self._bound.hold(error - self._lead.root_delay / 2, self._bound.rate, now)

    def _begin_holdover(self, raw: RawNs, now: MonoNs, loss: str) -> list[Action]:
        """The clock has been alone since the last correction, however late that was noticed."""
        assert self._lead is not None
        self.phase, self._leapt_ns = SyncPhase.HOLDOVER, 0
        self._model.begin(self._led_at, self._lead.estimate)
        self.holdover_left = self._left(raw, now)
        if self._reserve is not None:
            return [Note(Level.INFO, f"The clock runs by itself, {self._reserve} is in reserve. {loss}")]
        return [Note(Level.WARNING, self._warning(loss))]

    def _left(self, raw: RawNs, now: MonoNs) -> float:
        """Seconds until holdover ends, as things look now."""
        assert self._lead is not None
        before = self._lead.root_delay / 2 + self._lead.root_dispersion
        return self._limit.left(self._model, raw, before, self.error_bound(now))

    def _warning(self, loss: str) -> str:
        left = format_duration(self.holdover_left or 0.0)
        return f"Holdover: the clock runs by itself. Unsynchronised in {left}, when {self._limit.reason}. {loss}"

    def _hold_over(
        self, raw: RawNs, current: ClockMapping, now: MonoNs, loss: str | None, contested: float
    ) -> list[Action]:
        """Follow the model, and let the bound grow as it says."""
        assert self._lead is not None
        prediction = self._model.predict(raw, self._news_of_temperature(raw))
        error_ns = prediction.offset_ns + self._leapt_ns - current.correction_ns(raw)
        grown = max(0.0, 3 * (prediction.deviation - self._lead.estimate.deviation), contested)
        covered = grown + self._limit.margin * seconds(now - self._corrected_at)
        drift = max(self._settings.least_dispersion, self._drift(prediction) + self._limit.margin)
        self._bound.hold(self._lead.root_dispersion + covered + abs(seconds(error_ns)), drift, now)
        self.holdover_left = self._left(raw, now)
        self.budget_spent = self._limit.is_reached(grown, self.error_bound(now))
        if self.budget_spent and self._reserve is None and loss is not None:
            age = seconds(now - self._corrected_at)
            self.phase, self.holdover_left = SyncPhase.UNSYNCHRONISED, None
            return [Note(Level.ERROR, f"Unsynchronised: {self._limit.reason} after {format_duration(age)}. {loss}")]
        return [Steer(self._slew(prediction, raw, current, error_ns), step=False)]

    def _news_of_temperature(self, raw: RawNs) -> float | None:
        """The temperature once a minute: each one makes the model look at all its forecasts again."""
        if self._learned_at is not None and seconds(raw - self._learned_at) < LEARN_INTERVAL:
            return None
        self._learned_at = raw
        return self.temperature

    def _panic(self, error: float) -> list[Action]:
        """Refuse to believe what cannot be."""
        if self._panicking:
            return []
        self._panicking = True
        text = f"The sources say that the clock is {error:+.3f}s off, after it was right: not corrected"
        return [Note(Level.ERROR, f"{text} (clock.panic is {self._settings.panic_threshold:g}s; restart to accept it)")]

    def _may_step(self, error: float) -> bool:
        limit = self._settings.step_limit
        return abs(error) > self._settings.step_threshold and (limit < 0 or self._corrections < limit)

    def _step(self, estimate: Estimate, raw: RawNs) -> ClockMapping:
        return ClockMapping(base_ns=raw, offset_ns=estimate.offset_ns, rate=self._limited(estimate.rate))

    def _slew(self, estimate: Estimate, raw: RawNs, current: ClockMapping, error_ns: int) -> ClockMapping:
        """Continue from where the clock is, at the estimated frequency, and work the error off on top of it."""
        limit = self._settings.max_slew_rate
        slew_rate = max(-limit, min(limit, seconds(error_ns) / self._settings.slew_time))
        return ClockMapping(
            base_ns=raw,
            offset_ns=current.correction_ns(raw),
            rate=self._limited(estimate.rate),
            slew_rate=slew_rate,
            slew_ns=round(error_ns / slew_rate) if slew_rate else 0,
        )

    def _limited(self, rate: float) -> float:
        return max(-self._settings.max_rate, min(self._settings.max_rate, rate))
