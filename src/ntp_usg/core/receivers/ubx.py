"""The assembler that makes one time message of all UBX messages that belong to the same navigation epoch."""

from dataclasses import dataclass
from datetime import date

from ntp_usg.core.base.doubts import Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.ubx_framing import UbxFrame, UbxFramer
from ntp_usg.core.receivers.ubx_messages import WEEK_MS, LeapEvent, Report, TimePulse, parse_message

Event = TimeMessage | Fix | Verdict | PulseCorrection | Reception

_GPS_EPOCH_MS = 315_964_800_000
"""1980-01-06, of Unix time."""
_NS_PER_MS = 1_000_000
_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(slots=True)
class _Epoch:
    """All that was said about one navigation epoch so far."""

    received_at: HostNs
    time_of_week_ms: int
    instant: WallNs | Reason | None = None
    quality: FixQuality | None = None
    satellites_used: int | None = None
    satellites_in_view: int | None = None
    leap: LeapEvent | None = None

    def absorb(self, report: Report) -> None:
        # One message's doubt about the time outweighs another's word.
        if report.instant is not None and not isinstance(self.instant, Reason):
            self.instant = report.instant
        # NAV-PVT, which counts satellites too, knows more of the fix than NAV-STATUS.
        if self.quality is None or (report.quality is not None and report.satellites_used is not None):
            self.quality = report.quality
        if report.satellites_used is not None:
            self.satellites_used = report.satellites_used
        if report.satellites_in_view is not None:
            self.satellites_in_view = report.satellites_in_view
        if report.leap is not None:
            self.leap = report.leap

    def fix(self) -> Fix:
        """A time alone is no fix: the receiver's own clock keeps it for a while."""
        return Fix(self.quality or FixQuality.NO_FIX, self.satellites_used, self.satellites_in_view)


class UbxAssembler:
    """Receiver bytes in; time messages, fixes without time, pulse corrections, reception and verdicts out.

    No input raises. An epoch is complete when a message belongs to another one, or after a silence: call `flush` at
    `deadline`.
    """

    def __init__(self) -> None:
        self._framer = UbxFramer()
        self._epoch: _Epoch | None = None
        self._heard_at = MonoNs(0)
        self._last_second = 0
        self._gps_ahead_ms: int | None = None
        self._troubles: dict[str, Trouble | None] = {}

    def deadline(self) -> MonoNs | None:
        waiting = self._epoch is not None or self._framer.unfinished
        return MonoNs(self._heard_at + BURST_SILENCE_NS) if waiting else None

    def opened(self, now: MonoNs) -> list[Event]:  # noqa: ARG002 - it only listens
        """The line is open."""
        return []

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[Event]:
        """What these bytes bring to light; `received_at` stamps them, `now` measures the silence before them."""
        deadline = self.deadline()
        events = self.flush() if deadline is not None and now >= deadline else []
        self._heard_at = now
        return events + self._receive(self._framer.feed(data, received_at))

    def flush(self) -> list[Event]:
        """What is to be said of the epoch so far: nothing more of it is coming."""
        return self._receive(self._framer.flush()) + self._close()

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
        events = self._belong(report, frame.started_at)
        if report.pulse:
            events += self._correction(report.pulse)
        return events + self._reception(report)

    def _belong(self, report: Report, started_at: HostNs) -> list[Event]:
        """Add a report to its epoch; what ends the one before."""
        itow = report.time_of_week_ms
        if itow is None:
            return []
        events = self._close() if self._epoch and self._epoch.time_of_week_ms != itow else []
        self._epoch = self._epoch or _Epoch(started_at, itow)
        self._epoch.absorb(report)
        return events

    def _close(self) -> list[Event]:
        epoch, self._epoch = self._epoch, None
        if epoch is None:
            return []
        fix = epoch.fix()
        if epoch.instant is None or isinstance(epoch.instant, Reason):
            verdicts: list[Event] = [] if epoch.instant is None else [_rejected(epoch.instant)]
            return verdicts if epoch.quality is None else [*verdicts, fix]
        utc_ms = epoch.instant // _NS_PER_MS - _GPS_EPOCH_MS
        self._gps_ahead_ms = round((epoch.time_of_week_ms - utc_ms) % WEEK_MS, -3)
        second = epoch.instant // NS_PER_SECOND
        if second == self._last_second:
            return [_rejected(Reason.STALE)]
        self._last_second = second
        return [TimeMessage(epoch.instant, epoch.received_at, fix, _leap_of_month(epoch.instant, epoch.leap))]

    def _correction(self, pulse: TimePulse) -> list[Event]:
        """Which second a pulse marks; what is in GPS time waits until an epoch has shown how far that is ahead."""
        ahead_ms = 0 if pulse.utc else self._gps_ahead_ms
        if ahead_ms is None:
            return []
        instant_ms = _GPS_EPOCH_MS + pulse.week * WEEK_MS + pulse.time_of_week_ms - ahead_ms
        return [PulseCorrection(WallNs(instant_ms * _NS_PER_MS), pulse.correction_ps)]

    def _reception(self, report: Report) -> list[Event]:
        troubles = self._troubles | report.troubles
        changed = set(filter(None, troubles.values())) != set(filter(None, self._troubles.values()))
        self._troubles = troubles
        return [Reception(tuple(filter(None, troubles.values())))] if changed else []


def _leap_of_month(now: WallNs, event: LeapEvent | None) -> int | None:
    """What is announced for the end of this month: leap seconds are known half a year ahead."""
    if event is None:
        return None
    # The event is at midnight, or a second beside it: a minute before is in the month that it ends.
    second = now // NS_PER_SECOND
    ends_this_month = _month(second + event.seconds_ahead - 60) == _month(second)
    return event.leap if event.seconds_ahead > 0 and ends_this_month else 0


def _month(second: int) -> tuple[int, int]:
    day = date.fromordinal(_EPOCH + second // 86_400)
    return day.year, day.month


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
