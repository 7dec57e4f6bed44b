"""The assembler that makes one time message of all UBX messages that belong to the same navigation epoch."""

from dataclasses import dataclass, field

from ntp_usg.core.base.dates import date_of, is_possible
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.evidence import Claim, Evidence
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.rollover import Rollover
from ntp_usg.core.receivers.ubx_framing import UbxFrame, UbxFramer
from ntp_usg.core.receivers.ubx_messages import WEEK_MS, LeapEvent, Report, TimePulse, parse_message
from ntp_usg.core.receivers.ubx_reception import Survey, Troubles
from ntp_usg.core.receivers.ubx_setup import UbxSetup

Event = TimeMessage | Fix | Verdict | PulseCorrection | Reception | Command | Description

_GPS_EPOCH_MS = 315_964_800_000
"""1980-01-06, of Unix time."""
_NS_PER_MS = 1_000_000
_GRADERS = ("NAV-PVT", "NAV-STATUS")


@dataclass(slots=True)
class _Epoch:
    """What was said about one navigation epoch so far, but for the fix."""

    received_at: HostNs
    time_of_week_ms: int
    arrivals: dict[str, HostNs] = field(default_factory=dict)
    instant: WallNs | Reason | None = None
    leap: LeapEvent | None = None

    def absorb(self, report: Report) -> None:
        # One message's doubt about the time outweighs another's word.
        if report.instant is not None and not isinstance(self.instant, Reason):
            self.instant = report.instant
        self.leap = report.leap or self.leap


class UbxAssembler:
    """Receiver bytes in; time messages, fixes without time, pulse corrections, reception and verdicts out.

    No input raises. An epoch is complete when its receiver says so, when a message belongs to another one, or after a
    silence: call `flush` at `deadline`. With a `setup` it also asks for bytes to be written and describes the receiver.
    Dates that have rolled over are put right. The pulse error of TIM-TP is multiplied by
    `sawtooth_sign`: 1 adds it, -1 subtracts it, 0 ignores it.
    """

    def __init__(self, setup: UbxSetup | None = None, *, sawtooth_sign: int = 1) -> None:
        self._setup = setup
        self._sawtooth_sign = sawtooth_sign
        self._rollover = Rollover()
        self._framer = UbxFramer()
        self._epoch: _Epoch | None = None
        self._heard_at = MonoNs(0)
        self._last_second = 0
        self._gps_ahead_ms: int | None = None
        self._evidence = Evidence(_GRADERS)
        self._milestone: int | None = None
        self._troubles: Troubles = {}

    def deadline(self) -> MonoNs | None:
        if self._epoch is not None or self._framer.unfinished:
            return MonoNs(self._heard_at + BURST_SILENCE_NS)
        return self._setup.deadline if self._setup else None

    def opened(self, now: MonoNs) -> list[Event]:
        """The line is open."""
        return [*self._setup.start(now)] if self._setup else []

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[Event]:
        """What these bytes bring to light; `received_at` stamps them, `now` measures the silence before them."""
        deadline = self.deadline()
        events = self.flush() if deadline is not None and now >= deadline else []
        self._heard_at = now
        return events + self._remind(now) + self._receive(self._framer.feed(data, received_at))

    def flush(self) -> list[Event]:
        """What is to be said of the epoch so far: nothing more of it is coming."""
        due = self.deadline()
        return self._receive(self._framer.flush()) + self._close() + (self._remind(due) if due else [])

    def _remind(self, now: MonoNs) -> list[Event]:
        return [*self._setup.timer(now)] if self._setup else []

    def _receive(self, frames: list[UbxFrame | Verdict]) -> list[Event]:
        events: list[Event] = []
        for frame in frames:
            events += [frame] if isinstance(frame, Verdict) else self._take(frame)
        return events

    def _take(self, frame: UbxFrame) -> list[Event]:
        try:
            report = parse_message(frame)
        except WireError:
            return [_rejected(Reason.IMPLAUSIBLE)]
        events = self._belong(report, frame)
        if self._setup and (led_to := self._setup.receive(frame, self._heard_at)):
            # A receiver that answers is there, even while it has nothing else to say in this protocol.
            events += [*led_to, self._all_troubles()]
        if report.pulse:
            events += self._correction(report.pulse)
        return events + self._reception(report.troubles | self._survey(report.survey))

    def _belong(self, report: Report, frame: UbxFrame) -> list[Event]:
        """Add a report to its epoch; what ends it, or the one before."""
        itow = report.time_of_week_ms
        if itow is None:
            return []
        events = self._close() if self._epoch and self._epoch.time_of_week_ms != itow else []
        if report.ends_epoch:
            return events + self._close()
        if self._epoch is None:
            self._epoch = _Epoch(frame.started_at, itow)
            self._evidence.begin()
        self._epoch.arrivals.setdefault(frame.kind.label, frame.started_at)
        self._epoch.absorb(report)
        self._evidence.hear(frame.kind.label, Claim.of(report), self._heard_at)
        return events

    def _close(self) -> list[Event]:
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            return []
        fix = self._evidence.fix(self._heard_at)
        if epoch.instant is None or isinstance(epoch.instant, Reason):
            verdicts: list[Event] = [] if epoch.instant is None else [_rejected(epoch.instant)]
            return [*verdicts, fix] if self._evidence.is_judged else verdicts
        instant = self._rollover.unroll(epoch.instant) if fix.quality.rank else epoch.instant
        if not is_possible(instant):
            return [_rejected(Reason.IMPLAUSIBLE), fix]
        utc_ms = instant // _NS_PER_MS - _GPS_EPOCH_MS
        self._gps_ahead_ms = round((epoch.time_of_week_ms - utc_ms) % WEEK_MS, -3)
        second = instant // NS_PER_SECOND
        if second == self._last_second:
            return [_rejected(Reason.STALE)]
        self._last_second = second
        leap = _leap_of_month(instant, epoch.leap)
        message = TimeMessage(instant, epoch.received_at, fix, leap, tuple(epoch.arrivals.items()))
        return [message, *self._reception({"date": self._rollover.trouble})]

    def _correction(self, pulse: TimePulse) -> list[Event]:
        """Which second a pulse marks; what is in GPS time waits until an epoch has shown how far that is ahead."""
        ahead_ms = 0 if pulse.utc else self._gps_ahead_ms
        if ahead_ms is None or not self._sawtooth_sign:
            return []
        instant_ms = _GPS_EPOCH_MS + pulse.week * WEEK_MS + pulse.time_of_week_ms - ahead_ms
        second = self._rollover.unroll(WallNs(instant_ms * _NS_PER_MS))
        return [PulseCorrection(second, self._sawtooth_sign * pulse.correction_ps)]

    def _reception(self, news: Troubles) -> list[Event]:
        troubles = self._troubles | news
        changed = set(filter(None, troubles.values())) != set(filter(None, self._troubles.values()))
        self._troubles = troubles
        return [self._all_troubles()] if changed else []

    def _all_troubles(self) -> Reception:
        return Reception(tuple(filter(None, self._troubles.values())))

    def _survey(self, survey: Survey | None) -> Troubles:
        """Told when it has taken twice as long as last time: its figures change each second."""
        if survey is None:
            return {}
        milestone = survey.duration.bit_length() if survey.running else None
        if milestone == self._milestone:
            return {}
        self._milestone = milestone
        text = f"survey-in: {survey.duration} s, {survey.accuracy_m:.1f} m"
        return {"survey": Trouble(Doubt.SURVEY, text) if survey.running else None}


def _leap_of_month(now: WallNs, event: LeapEvent | None) -> int | None:
    """What is announced for the end of this month: leap seconds are known half a year ahead."""
    if event is None:
        return None
    # The event is at midnight, or a second beside it: a minute before is in the month that it ends.
    event_at = WallNs(now + (event.seconds_ahead - 60) * NS_PER_SECOND)
    ends_this_month = _month(event_at) == _month(now)
    return event.leap if event.seconds_ahead > 0 and ends_this_month else 0


def _month(instant: WallNs) -> tuple[int, int]:
    day = date_of(instant)
    return day.year, day.month


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
