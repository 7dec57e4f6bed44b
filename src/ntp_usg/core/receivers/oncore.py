"""The assembler that makes time messages, pulse corrections and a site survey of Oncore messages."""

from ntp_usg.core.base.dates import is_possible
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, Position, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.leap_notice import leap_of_month
from ntp_usg.core.receivers.nmea import BURST_SILENCE_NS
from ntp_usg.core.receivers.oncore_framing import Kind, OncoreFramer, OncoreMessage
from ntp_usg.core.receivers.oncore_messages import LeapReport, PositionReport, RaimReport, parse_message
from ntp_usg.core.receivers.oncore_setup import Mode, OncoreSettings, OncoreSetup
from ntp_usg.core.receivers.oncore_survey import Survey
from ntp_usg.core.receivers.rollover import Rollover

Event = TimeMessage | Fix | Verdict | PulseCorrection | Reception | Command | Description

_USUAL, _NOTHING_SURVEYED = OncoreSettings(), Survey()
_POLL_EVERY = 60
_PS_PER_NS = 1000
_SETTLING = 2
"""So many messages may still be in GPS time when the leap seconds have become known: ntpd has seen them."""


class OncoreAssembler:
    """Receiver bytes in; time messages, fixes, pulse corrections, reception, verdicts and commands out.

    No input raises. A message with a position says all of its second, so nothing is waited for. `survey` is the site
    survey so far, to be kept and given to the next assembler; `remark` is what people should read beside its state.
    """

    def __init__(
        self,
        settings: OncoreSettings = _USUAL,
        survey: Survey = _NOTHING_SURVEYED,
        remark: str = "",
    ) -> None:
        self.survey = survey
        self._settings = settings
        self._setup = OncoreSetup(settings, remark)
        self._framer = OncoreFramer()
        self._rollover = Rollover()
        self._heard_at = MonoNs(0)
        self._positions = 0
        self._last = WallNs(0)
        self._second: WallNs | None = None
        """What the latest message names, if it is believed: the next pulse is the one after."""
        self._utc_offset = 0
        self._utc_known: bool | None = None
        self._settling = 0
        self._leap: LeapReport | None = None
        self._troubles: dict[str, Trouble | None] = {}

    def deadline(self) -> MonoNs | None:
        return None

    def opened(self, now: MonoNs) -> list[Event]:  # noqa: ARG002 - it says everything at once
        """The line is open."""
        return [*self._setup.opened(), *self._reception({"survey": self._survey_trouble()})]

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[Event]:
        """What these bytes bring to light; `received_at` stamps them, `now` measures the silence before them."""
        if now - self._heard_at >= BURST_SILENCE_NS:
            self._framer = OncoreFramer()  # what was begun before a silence is torn
        self._heard_at = now
        events: list[Event] = []
        for message in self._framer.feed(data, received_at):
            events += [message] if isinstance(message, Verdict) else self._take(message)
        return events

    def flush(self) -> list[Event]:
        """Nothing is held back."""
        return []

    def _take(self, message: OncoreMessage) -> list[Event]:
        try:
            report = parse_message(message)
        except WireError:
            return [_rejected(Reason.IMPLAUSIBLE)]
        match report:
            case PositionReport():
                return self._locate(report, message)
            case RaimReport():
                return self._correct(report)
            case LeapReport():
                self._leap = report
            case None if message.kind is Kind.UTC_OFFSET:
                self._utc_offset = message.data[0]
        return [*self._setup.answer(message)]

    def _locate(self, report: PositionReport, message: OncoreMessage) -> list[Event]:
        held = self._position_to_hold()
        commands: list[Event] = [*self._setup.heard(message.kind, held)]
        self._positions += 1
        if self._positions % _POLL_EVERY == 0:
            commands += self._setup.polls()
        if self._settings.mode is Mode.SURVEY and held is None and report.dimensions == 3:
            self.survey = self.survey.add(report.position)
            if (surveyed := self._position_to_hold()) is not None:
                commands += self._setup.hold(surveyed)
        fix = Fix(
            report.quality,
            report.satellites_used,
            report.satellites_in_view,
            pdop=report.pdop,
            dimensions=report.dimensions,
            position=report.position if report.dimensions else None,
        )
        instant = self._meant(report, fix)
        troubles = {**report.troubles, "survey": self._survey_trouble(), "rollover": self._rollover.trouble}
        return [*commands, *self._reception(troubles), *self._tell(instant, fix, message)]

    def _tell(self, instant: WallNs | Reason, fix: Fix, message: OncoreMessage) -> list[Event]:
        if isinstance(instant, Reason):
            self._second = None
            return [_rejected(instant), fix]
        self._second = self._last = instant
        leap = None if self._leap is None else leap_of_month(instant, self._leap.change, self._leap.day)
        arrivals = ((str(message.kind), message.started_at),)
        return [TimeMessage(instant, message.started_at, fix, leap, arrivals)]

    def _meant(self, report: PositionReport, fix: Fix) -> WallNs | Reason:
        """What the receiver means by what it names, or why that is not to be believed."""
        instant = report.instant
        if isinstance(instant, Reason):
            return instant
        if not self._is_utc(report):
            return Reason.NO_DATE
        if fix.quality.rank:
            instant = self._rollover.unroll(instant)
        if not is_possible(instant):
            return Reason.IMPLAUSIBLE
        return Reason.STALE if instant == self._last else instant

    def _is_utc(self, report: PositionReport) -> bool:
        known = self._utc_offset != 0 if report.utc_known is None else report.utc_known
        if known and self._utc_known is False:
            self._settling = _SETTLING
        self._utc_known = known
        self._settling, is_settling = max(self._settling - 1, 0), self._settling > 0
        return known and not is_settling

    def _correct(self, report: RaimReport) -> list[Event]:
        events = self._reception({"raim": report.alarm})
        sign = self._settings.sawtooth_sign
        if self._second is None or not report.pulsing or report.alarm or not sign:
            return events
        following = WallNs(self._second + NS_PER_SECOND)
        return [*events, PulseCorrection(following, sign * report.negative_sawtooth_ns * _PS_PER_NS)]

    def _position_to_hold(self) -> Position | None:
        if self._settings.mode is Mode.SURVEY and self.survey.count >= self._settings.survey_fixes:
            return self.survey.position
        return self._settings.position if self._settings.mode is Mode.POSITION_HOLD else None

    def _survey_trouble(self) -> Trouble | None:
        if self._settings.mode is not Mode.SURVEY or self._position_to_hold() is not None:
            return None
        # In steps, so that it is not said again each minute.
        done = self.survey.count * 20 // self._settings.survey_fixes * 5
        return Trouble(Doubt.SURVEY, f"site survey {done} %")

    def _reception(self, troubles: dict[str, Trouble | None]) -> list[Event]:
        troubles = self._troubles | troubles
        changed = [*filter(None, troubles.values())] != [*filter(None, self._troubles.values())]
        self._troubles = troubles
        return [Reception(tuple(filter(None, troubles.values())))] if changed else []


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
