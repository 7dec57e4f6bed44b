"""How the clock is corrected, and what may be promised of it: from the first lock through holdover to giving up."""

from dataclasses import dataclass

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.base.actions import Action, Level, Note, Steer
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import PHI, UNSYNCHRONISED_STRATUM, Leap, ServingState, SyncPhase
from ntp_usg.core.engine.settings import EngineSettings

SYNCHRONISED_PHASES = (SyncPhase.SYNCHRONISED, SyncPhase.HOLDOVER)


@dataclass(frozen=True, slots=True)
class Lead:
    """What the leading source says, and how far it may be believed."""

    estimate: Estimate
    accuracy: float
    reference_id: bytes


class Steering:
    """Turns estimates into corrections and keeps the books on the error that is left."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self.phase = SyncPhase.STARTING
        self.epoch = 0
        self.jitter = 0.0
        self._reference_id = b"INIT"
        self._estimate: Estimate | None = None
        self._estimated_at = RawNs(0)
        self._corrected_at = MonoNs(0)
        self._corrected_wall = WallNs(0)
        self._bound = 0.0

    def correct(self, lead: Lead, raw: RawNs, current: ClockMapping, now: MonoNs) -> list[Action]:
        """Follow the leading source: step at the first lock and when the error is beyond slewing, else slew."""
        estimate = lead.estimate
        error_ns = estimate.offset_ns - current.correction_ns(raw)
        step = self._estimate is None or abs(seconds(error_ns)) > self._settings.step_threshold
        mapping = self._step(estimate, raw) if step else self._slew(estimate, raw, current, error_ns)
        actions: list[Action] = [Steer(mapping, step=step)]
        if step:
            self.epoch += 1
            actions.append(Note(Level.INFO, f"Clock set: stepped by {seconds(error_ns):+.6f}s"))
        elif self.phase is not SyncPhase.SYNCHRONISED:
            age = seconds(now - self._corrected_at)
            text = f"Reference clock back after {age:.1f}s: the error was {seconds(error_ns) * 1e6:+.3f}us"
            actions.append(Note(Level.INFO, text))
        self.phase = SyncPhase.SYNCHRONISED
        self.jitter = estimate.jitter
        self._reference_id = lead.reference_id
        self._estimate, self._estimated_at = estimate, raw
        self._corrected_at = now
        self._corrected_wall = mapping.wall(raw)
        self._bound = lead.accuracy + 3 * estimate.deviation + (0.0 if step else abs(seconds(error_ns)))
        return actions

    def review(self, now: MonoNs, loss: str | None) -> list[Action]:
        """Go into holdover when no source leads any more, and give up when the budget is spent."""
        budget = self._settings.holdover_budget
        if loss is None:
            return []
        if self.phase is SyncPhase.STARTING:
            self.phase = SyncPhase.LOCKING
        elif self.phase is SyncPhase.SYNCHRONISED:
            self.phase = SyncPhase.HOLDOVER
            text = (
                f"Holdover: the error may grow by {budget * 1e3:g}ms before the server declares itself unsynchronised"
            )
            return [Note(Level.WARNING, f"{text}, in {budget / PHI:.0f}s at the earliest. {loss}")]
        elif self.phase is SyncPhase.HOLDOVER and PHI * seconds(now - self._corrected_at) > budget:
            age = self.holdover_age(now)
            self.phase = SyncPhase.UNSYNCHRONISED
            text = f"Unsynchronised: the holdover budget of {budget * 1e3:g}ms is spent after {age:.0f}s. {loss}"
            return [Note(Level.ERROR, text)]
        return []

    def restart(self) -> None:
        """Promise nothing until the next lock: the timeline or the numbering of the seconds broke."""
        self.phase = SyncPhase.LOCKING
        self._estimate = None

    def error_bound(self, now: MonoNs) -> float:
        """Seconds that the served clock may be off; infinite while it is not synchronised."""
        if self.phase not in SYNCHRONISED_PHASES:
            return float("inf")
        return self._bound + PHI * seconds(now - self._corrected_at)

    def remaining(self, raw: RawNs, current: ClockMapping) -> float:
        """Estimated error of the served clock that is still to be slewed away, in seconds."""
        if self._estimate is None or self.phase not in SYNCHRONISED_PHASES:
            return 0.0
        expected_ns = self._estimate.offset_ns + nanoseconds(self._estimate.rate * seconds(raw - self._estimated_at))
        return seconds(expected_ns - current.correction_ns(raw))

    def holdover_age(self, now: MonoNs) -> float | None:
        """Seconds since the last correction, in holdover only."""
        return seconds(now - self._corrected_at) if self.phase is SyncPhase.HOLDOVER else None

    def serving(self, mapping: ClockMapping, host: HostNs, now: MonoNs) -> ServingState:
        """What answers may say now."""
        synchronised = self.phase in SYNCHRONISED_PHASES
        return ServingState(
            leap=Leap.NONE if synchronised else Leap.UNSYNCHRONISED,
            stratum=max(1, self._settings.stratum) if synchronised else UNSYNCHRONISED_STRATUM,
            precision=self._settings.precision,
            root_dispersion=self._bound + PHI * seconds(now - self._corrected_at) if self._bound else 0.0,
            reference_id=self._reference_id if synchronised else b"INIT",
            reference_time=self._corrected_wall,
            mapping=mapping,
            as_of=now,
            expires_at=MonoNs(now + nanoseconds(self._settings.state_lifetime)),
            host_minus_mono_ns=host - now,
            epoch=self.epoch,
        )

    def _step(self, estimate: Estimate, raw: RawNs) -> ClockMapping:
        return ClockMapping(base_ns=raw, offset_ns=estimate.offset_ns, rate=estimate.rate)

    def _slew(self, estimate: Estimate, raw: RawNs, current: ClockMapping, error_ns: int) -> ClockMapping:
        """Continue from where the clock is, at the estimated frequency, and work the error off on top of it."""
        limit = self._settings.max_slew_rate
        slew_rate = max(-limit, min(limit, seconds(error_ns) / self._settings.slew_time))
        return ClockMapping(
            base_ns=raw,
            offset_ns=current.correction_ns(raw),
            rate=estimate.rate,
            slew_rate=slew_rate,
            slew_ns=round(error_ns / slew_rate) if slew_rate else 0,
        )
