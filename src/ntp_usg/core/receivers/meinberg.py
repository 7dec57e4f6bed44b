"""Meinberg's time telegrams: one a second between STX and ETX, whose first bit begins with the second.

Formats: any Meinberg manual, chapter "Time Strings" (Standard, GPS, Uni Erlangen); the short Uni Erlangen one of the
PZF5xx: ntpd's "NTP PARSE clock data formats". What stands outside STX and ETX, like capture strings, is not looked at.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum

from ntp_usg.core.base.dates import date_of, is_possible
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, Reception, TimeMessage
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.commands import Description
from ntp_usg.core.receivers.framing import Frame, LineFramer
from ntp_usg.core.receivers.rollover import Rollover

LONGEST_TELEGRAM = 80
"""The longest known has 68 bytes."""

_HOUR = 3600
# With even parity in the highest bit STX is 0x82, while ETX, which has two bits set, stays what it is.
_WHOLE = re.compile(rb"[\x02\x82][^\x02\x82\x03]{0,%d}\x03" % (LONGEST_TELEGRAM - 2))
_UNFINISHED = re.compile(rb"[\x02\x82][^\x02\x82\x03]{0,%d}\Z" % (LONGEST_TELEGRAM - 2))

_STANDARD = re.compile(
    rb"D:(?P<date>\d\d\.\d\d\.\d\d);T:(?P<weekday>[1-7]);U:(?P<time>\d\d\.\d\d\.\d\d);"
    rb"(?P<free>[ #])(?P<star>[ *])(?P<zone>[ SUG])(?P<leap>[ !A])(?:;(?P<gps_ahead>[ +-]?\d{2,3}))?"
)
_ERLANGEN = re.compile(
    rb" *(?P<date>\d\d\.\d\d\.\d\d); *(?P<weekday>[1-7]); *(?P<time>\d\d:\d\d:\d\d); "
    rb"(?:(?P<utc_offset>[+-]\d\d:\d\d); |(?P<utc>[ U]))"
    rb"(?P<free>[ #])(?P<star>[ *])(?P<zone>[ S])[ !](?P<leap>[ A])[ R](?:[ L]"
    rb"; *(?P<latitude>\d{1,3}\.\d{1,8}[NS]) +(?P<longitude>\d{1,3}\.\d{1,8}[EW]) +(?P<height>-?\d{1,5})m *)?"
)
_FORMATS = {"Standard": _STANDARD, "Uni Erlangen": _ERLANGEN}

Event = TimeMessage | Verdict | Reception | Description


class Radio(StrEnum):
    """What the clock listens to: the same `*` means that its position, or that its time, is not checked by that."""

    GPS = "gps"
    DCF77 = "dcf77"


@dataclass(frozen=True, slots=True)
class Telegram:
    """What one telegram says."""

    format: str
    second: int
    """As it is named, in Unix seconds as if it were UTC; in a leap second that of the second after it."""
    leap_second: bool
    ahead: int | None
    """Seconds that the named time is ahead of UTC; None for the local time of whoever set the clock up."""
    daylight_saving: bool
    synchronised: bool
    checked: bool
    """No `*`: see Radio."""
    leap_announced: bool
    position: Position | None

    def utc(self, standard_ahead: int) -> WallNs:
        """The second, where local standard time is so many seconds ahead of UTC."""
        local_ahead = standard_ahead + _HOUR * self.daylight_saving
        return WallNs((self.second - (local_ahead if self.ahead is None else self.ahead)) * NS_PER_SECOND)


def telegram_framer() -> LineFramer:
    """Cuts telegrams, from STX to ETX, out of a stream of bytes."""
    return LineFramer(_WHOLE, _UNFINISHED)


def parse_telegram(data: bytes) -> Telegram:
    """Read the bytes from STX to ETX, of 8N1, or of 7E2 with their parity still in the highest bit.

    Raises WireError for anything else, and for a date that is none or does not fall on the day of the week named.
    """
    text = _without_parity(data)[1:-1]
    matches = ((name, pattern.fullmatch(text)) for name, pattern in _FORMATS.items())
    name, match = next((each for each in matches if each[1]), ("", None))
    if match is None:
        raise WireError(f"no known telegram: {text[:40]!r}")
    said = {name: (value or b"").decode("ascii") for name, value in match.groupdict().items()}
    day, month, year = (int(digits) for digits in said["date"].split("."))
    hour, minute, second = (int(digits) for digits in re.split("[.:]", said["time"]))
    try:
        named = datetime(2000 + year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError as error:
        raise WireError(f"no date and time: {said['date']} {said['time']}") from error
    if second > 60 or named.isoweekday() != int(said["weekday"]):
        raise WireError(f"{said['date']} {said['time']} on day {said['weekday']} of the week")
    return Telegram(
        format=name,
        second=int(named.timestamp()) + (second == 60),
        leap_second=second == 60,
        ahead=_ahead(said),
        daylight_saving=said["zone"] == "S",
        synchronised=said["free"] != "#",
        checked=said["star"] != "*",
        leap_announced=said["leap"] == "A",
        position=_position(said),
    )


def _without_parity(data: bytes) -> bytes:
    """A telegram has no checksum, so that even parity, where it is there, is all that vouches for it."""
    if data.isascii():
        return data
    if any(byte.bit_count() % 2 for byte in data):
        raise WireError("bytes of odd parity among others")
    return bytes(byte & 0x7F for byte in data)


def _ahead(said: dict[str, str]) -> int | None:
    """How far the named time is ahead of UTC, where the telegram says so itself."""
    gps_ahead = abs(int(said.get("gps_ahead") or 0))
    if (said["zone"] == "G") != (gps_ahead > 0):
        raise WireError("GPS time without leap seconds" if said["zone"] == "G" else "leap seconds without GPS time")
    if gps_ahead:
        return gps_ahead
    if offset := said.get("utc_offset"):
        return int(offset[0] + "1") * (int(offset[1:3]) * _HOUR + int(offset[4:6]) * 60)
    return 0 if "U" in (said["zone"], said.get("utc")) else None


def _position(said: dict[str, str]) -> Position | None:
    if not said.get("height"):
        return None
    latitude, longitude = (
        float(said[key][:-1]) * (-1 if said[key][-1] in "SW" else 1) for key in ("latitude", "longitude")
    )
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise WireError(f"no place on Earth: {latitude} {longitude}")
    return Position(latitude, longitude, float(said["height"]))


class MeinbergAssembler:
    """Receiver bytes in; time messages, reception and verdicts out. No input raises: a telegram is whole at its ETX.

    `standard_ahead` is how many seconds the local standard time is ahead of UTC, for telegrams that do not say it;
    `trust_power_up` believes a clock that says that it has not been synchronised since it was switched on; dates of GPS
    that have rolled over are put right. `remark` is what people should read beside its state.
    """

    def __init__(
        self,
        radio: Radio,
        standard_ahead: int = 0,
        *,
        trust_power_up: bool = False,
        remark: str = "",
    ) -> None:
        self._radio = radio
        self._standard_ahead = standard_ahead
        self._trust_power_up = trust_power_up
        self._rollover = Rollover()
        self._remark = remark
        self._framer = telegram_framer()
        self._last_second = WallNs(0)
        self._troubles: tuple[Trouble, ...] = ()

    def opened(self, now: MonoNs) -> list[Event]:  # noqa: ARG002 - it only listens
        """The line is open."""
        return [Description(self._remark)] if self._remark else []

    def deadline(self) -> MonoNs | None:
        return None

    def flush(self) -> list[Event]:
        """Nothing waits for more to come."""
        return []

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[Event]:  # noqa: ARG002 - nothing waits
        """What these bytes bring to light; `received_at` stamps them."""
        return [event for frame in self._framer.feed(data, received_at) for event in self._take(frame)]

    def _take(self, frame: Frame) -> list[Event]:
        try:
            telegram = parse_telegram(frame.data)
        except WireError:
            return [_rejected(Reason.BAD_CHECKSUM)]
        message = self._message(telegram, frame.started_at)
        troubles = tuple(self._find_troubles(telegram))
        events: list[Event] = [] if troubles == self._troubles else [Reception(troubles)]
        self._troubles = troubles
        return [*events, message]

    def _message(self, telegram: Telegram, received_at: HostNs) -> TimeMessage | Verdict:
        if telegram.leap_second:
            return _rejected(Reason.LEAP_SECOND)
        second = telegram.utc(self._standard_ahead)
        if self._radio is Radio.GPS and telegram.synchronised:
            second = self._rollover.unroll(second)
        if not is_possible(second):
            return _rejected(Reason.IMPLAUSIBLE)
        if second == self._last_second:
            return _rejected(Reason.STALE)
        self._last_second = second
        trusted = telegram.synchronised or self._trust_power_up
        fix = Fix(FixQuality.GPS if trusted else FixQuality.NO_FIX)
        if self._radio is Radio.GPS and telegram.checked:
            fix = replace(fix, position=telegram.position)
        # Announced within its last hour only: silence before that is no word against a leap second. DCF77 has one word
        # for both kinds, and only inserted ones have ever been.
        announced = telegram.leap_announced and _in_last_hour_of_month(second)
        leap = Leap.INSERT.value if announced else None
        return TimeMessage(second, received_at, fix, leap, arrivals=((telegram.format, received_at),))

    def _find_troubles(self, telegram: Telegram) -> Iterator[Trouble]:
        if self._rollover.trouble:
            yield self._rollover.trouble
        if not telegram.synchronised:
            yield Trouble(Doubt.OSCILLATOR, "not synchronised", severe=not self._trust_power_up)
        elif not telegram.checked and self._radio is Radio.GPS:
            yield Trouble(Doubt.SURVEY, "position not checked yet")
        elif not telegram.checked:
            yield Trouble(Doubt.OSCILLATOR, "runs on its own oscillator")


def _in_last_hour_of_month(second: WallNs) -> bool:
    return date_of(WallNs(second + _HOUR * NS_PER_SECOND)).month != date_of(second).month


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
