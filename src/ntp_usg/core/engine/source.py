"""What all sources share: an estimator, reach, counts, health, and the reason for it in words."""

import math
from abc import ABC, abstractmethod
from collections import Counter

from ntp_usg.core.algorithms.estimator import Estimate, Estimator
from ntp_usg.core.algorithms.leap import Announcement
from ntp_usg.core.algorithms.median import MedianFilter
from ntp_usg.core.algorithms.selection import Candidate, Choice
from ntp_usg.core.algorithms.witness import Witness
from ntp_usg.core.base.actions import Action
from ntp_usg.core.base.clock_types import pseudo_address
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import DeviceStatus, Reception, Sample
from ntp_usg.core.base.snapshots import Leap, SourceKind, SourceSnapshot
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.cross_check import CrossCheck
from ntp_usg.core.engine.settings import SourceSettings
from ntp_usg.core.engine.trust import Trust


class Source(ABC):
    """One reference clock or server as the engine sees it; `witness` holds a reference clock against the oscillator."""

    def __init__(
        self, settings: SourceSettings, estimator: Estimator, now: MonoNs, witness: Witness | None = None
    ) -> None:
        self.settings = settings
        self.number = 0
        """The engine numbers its sources."""
        self.estimator = estimator
        self.trust = Trust(settings.name)
        self.check = CrossCheck()
        self._witness = witness
        self._stray = 0.0
        self._filter = MedianFilter(settings.filter_length)
        self.healthy = False
        self.verdicts: Counter[str] = Counter()
        self._device: DeviceStatus | None = None
        self._latest: Reason | None = None
        self._started_at = now
        self._accepted_at: MonoNs | None = None
        self._polled_at = now
        self._reach = 0
        self._heard_since_poll = False

    @property
    def reach(self) -> int:
        """Eight-bit shift register of the latest polls, newest lowest."""
        return self._reach

    @property
    def is_fallback(self) -> bool:
        """Whether it is no clock of its own, but the one that is served."""
        return False

    @property
    def is_server(self) -> bool:
        """Whether it is reached over the network, so that its errors are not those of this machine's receivers."""
        return False

    @property
    def is_orphaned(self) -> bool:
        """Whether it is a fallback that one of a group of orphans keeps."""
        return False

    @property
    def only_names_seconds(self) -> bool:
        """Whether its exactness is that of serial messages: good for little where pulses come."""
        return False

    def is_orphan(self, stratum: int) -> bool:  # noqa: ARG002 - servers may be
        """Whether it follows nobody but a group that has lost every other time."""
        return False

    @property
    def is_elder(self) -> bool:
        """Whether it goes before us among orphans."""
        return False

    @property
    def about_to_vote(self) -> bool:
        """Whether it may have a vote soon, but has none yet."""
        return not self.settings.noselect and not self.estimator.ready

    def awaited(self, now: MonoNs) -> bool:  # noqa: ARG002 - pulses are
        """Whether nobody should settle for messages before it is heard."""
        return False

    @property
    def poll_interval(self) -> float:
        """Seconds."""
        return self.settings.poll_interval

    @property
    def stratum(self) -> int:
        return self.settings.stratum

    @property
    def accuracy(self) -> float:
        """Bound of the systematic error in seconds."""
        return self.settings.accuracy

    @property
    def root_delay(self) -> float:
        """Round trip to the clock at the root, in seconds."""
        return 0.0

    @property
    def reference_id(self) -> bytes:
        return self.settings.reference_id

    @property
    def reference_address(self) -> bytes:
        """What our reference id is while we follow this source at stratum 2 or more (RFC 5905 figure 12)."""
        return pseudo_address(self.settings.driver, self.settings.unit)

    def distance(self, at: RawNs, now: MonoNs) -> float:
        """Half width in seconds of the interval around the estimate that must contain true time."""
        estimate = self.estimate(at)
        if estimate is None:
            return math.inf
        return self.accuracy + 3 * estimate.deviation + self._stray + self.check.unexplained(now)

    def device(self, status: DeviceStatus) -> None:
        self._device = status

    def reception(self, reception: Reception) -> None:
        """All that the device finds wrong at present."""
        self.trust.report("device", reception.troubles)

    def judge(self, verdict: Verdict) -> None:
        """Count a verdict, whoever reached it."""
        self.verdicts[f"{verdict.outcome}/{verdict.reason}"] += 1
        self._latest = verdict.reason

    def reject(self, reason: Reason) -> Reason:
        self.judge(Verdict(Outcome.REJECTED, reason))
        return reason

    def measure(self, sample: Sample, now: MonoNs) -> Reason:
        """Offer a sample to the estimator; the source counts as heard only when it was taken in."""
        combined = self._filter.add(sample)
        if combined is not None:
            reason = self._learn(combined)
            if reason is not Reason.USED:
                return self.reject(reason)
        self.judge(Verdict(Outcome.ACCEPTED, Reason.USED))
        self._accepted_at = now
        self._heard_since_poll = True
        return Reason.USED

    def _learn(self, sample: Sample) -> Reason:
        """Take a sample into the estimate, unless it is an outlier."""
        reason = self.estimator.add(sample)
        self._hear_witness(sample, used=reason is Reason.USED)
        return reason

    def _hear_witness(self, sample: Sample, *, used: bool) -> None:
        """A source that the oscillator contradicts is measured again where it went, to see whether it comes back."""
        if self._witness is None:
            return
        departure = self._witness.see(sample, usual=used)
        if used:
            self._stray = self._witness.stray
        if departure is not None:
            self.check.depart(departure)
            self.estimator.restart()

    def estimate(self, at: RawNs) -> Estimate | None:
        return self.estimator.estimate(at) if self.estimator.ready else None

    def possible_error(self, served: ClockMapping) -> float:  # noqa: ARG002 - servers' samples may be late
        """Seconds that the served clock may be off by the latest sample: within that it excludes no sudden change."""
        return 0.0

    def contradiction(self, served: ClockMapping, bound: float) -> float:  # noqa: ARG002 - servers may
        """Seconds that the served clock may be off by the latest sample alone; 0 where that is within its bound."""
        return 0.0

    def announcement(self) -> Announcement | None:
        """What the source says of a coming leap second, if it says anything."""
        return None

    def renew(self) -> None:
        """Forget what was measured: the raw timeline was broken."""
        self.restart()

    def restart(self) -> None:
        """Measure again, expecting the same frequency."""
        self._filter.restart()
        self.estimator.restart()
        if self._witness is not None:
            self._witness.restart()

    def shift(self, offset_ns: int) -> None:
        """UTC has inserted or left out a second: what was measured counts as before."""
        self._filter.shift(offset_ns)
        self.estimator.shift(offset_ns)
        if self._witness is not None:
            self._witness.shift(offset_ns)

    def candidate(self, at: RawNs, now: MonoNs, served: ClockMapping) -> Candidate:
        """This source as it stands for selection."""
        settings, estimate = self.settings, self.estimate(at)
        offset = math.nan if estimate is None else seconds(estimate.offset_ns - served.correction_ns(at))
        return Candidate(
            name=settings.name,
            offset=offset,
            distance=self.distance(at, now),
            deviation=math.nan if estimate is None else estimate.deviation,
            jitter=math.nan if estimate is None else estimate.jitter,
            stratum=self.stratum,
            reachable=self.healthy and estimate is not None,
            prefer=settings.prefer,
            trust=settings.trust,
            require=settings.require,
            noselect=settings.noselect,
        )

    def silent(self, now: MonoNs) -> bool:
        """Nothing usable for longer than the timeout."""
        return self._accepted_at is None or seconds(now - self._accepted_at) > self.settings.timeout

    @property
    def falls_silent_at(self) -> MonoNs | None:
        """When the source is lost if nothing comes before; None where there is nothing to lose."""
        if not self.healthy or self._accepted_at is None:
            return None
        return MonoNs(self._accepted_at + nanoseconds(self.settings.timeout) + 1)

    def age(self, now: MonoNs) -> float:
        """Seconds since the last accepted sample, or since the start."""
        return seconds(now - (self._accepted_at or self._started_at))

    def poll(self, now: MonoNs) -> None:
        """Shift the reach register (RFC 5905 section 9.2) once for each poll interval that has passed."""
        interval_ns = nanoseconds(self.settings.poll_interval)
        while now - self._polled_at >= interval_ns:
            self._reach = (self._reach << 1 | self._heard_since_poll) & 0xFF
            self._heard_since_poll = False
            self._polled_at = MonoNs(max(self._polled_at + interval_ns, now - 8 * interval_ns))

    @abstractmethod
    def review(self, now: MonoNs, served: ClockMapping) -> list[Action]:
        """Notice changes of health, after each sample and each second; the notes tell people."""

    def reason(self, now: MonoNs) -> str:
        """Why the source is healthy or not, in words."""
        if self._device is not None and not self._device.connected:
            return self._device.detail
        if self.healthy:
            return "Healthy."
        if self._latest is None:
            seen = f": {self._device.detail}" if self._device else f" from {self.settings.device}"
            return f"No time has come yet{seen}."
        if self._latest is not Reason.USED:
            return self._latest.explanation
        return f"Silent for {self.age(now):.0f}s." if self.silent(now) else "Settling: the first samples have come."

    def snapshot(self, now: MonoNs, served: ClockMapping, choice: Choice) -> SourceSnapshot:
        """This source as people see it; `served` is the mapping raw -> disciplined in force."""
        latest, estimate = self.estimator.latest, None
        if latest is not None:
            estimate = self.estimate(latest.at)
        settings = self.settings
        return SourceSnapshot(
            association=self.number,
            name=settings.name,
            kind=SourceKind.CLOCK,
            driver=settings.driver,
            unit=settings.unit,
            path=None,
            origin=settings.origin,
            device=settings.device,
            reference_id=settings.reference_id,
            stratum=self.stratum,
            tally=choice.tally,
            healthy=self.healthy,
            reason=choice.reason if self.healthy else self.reason(now),
            reach=self.reach,
            poll_interval=self.poll_interval,
            last_heard_age=None if self._accepted_at is None else self.age(now),
            offset=None if latest is None else self._offset(latest, served),
            delay=0.0,
            root_delay=0.0,
            root_dispersion=0.0,
            leap=Leap.NONE if self.healthy else Leap.UNSYNCHRONISED,
            reference_time=self._heard_at(served),
            jitter=None if estimate is None else estimate.jitter,
            dispersion=None if estimate is None else self.accuracy + 3 * estimate.deviation,
            verdicts=dict(self.verdicts),
            trust=self.trust.level,
            doubts=self.trust.doubts,
        )

    def _heard_at(self, served: ClockMapping) -> WallNs:
        """When the latest accepted sample came, by the served clock; 0 = never."""
        latest = self.estimator.latest
        if latest is None or self._accepted_at is None:
            return WallNs(0)
        return served.wall(latest.at)

    def _offset(self, sample: Sample, served: ClockMapping) -> float:
        """What a sample says against the served clock, in seconds."""
        return seconds(sample.offset_ns - served.correction_ns(sample.at))
