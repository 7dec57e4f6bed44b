"""NMEA 0183 sentences, and the assembler that makes one time message of all that name the same second."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import reduce
from operator import xor

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.framing import Frame, LineFramer
from ntp_usg.core.receivers.rollover import EARLIEST_DATE

TALKERS = frozenset({b"GP", b"GN", b"GL", b"GA", b"GB", b"BD", b"GQ", b"QZ", b"PQ", b"GI"})
"""GPS, several systems at once, GLONASS, Galileo, BeiDou (twice), QZSS (three times), NavIC."""

BURST_SILENCE_NS = 200_000_000
"""Longer than receivers pause inside a burst, shorter than a line that is not overloaded rests after it."""

_DAY_NS = 86_400 * NS_PER_SECOND
_EPOCH = date(1970, 1, 1).toordinal()
_FEWEST_VALUES = [b""] * 12

_SENTENCE = re.compile(rb"\$([^*]+)\*([0-9A-Fa-f]{2})")
_TIME = re.compile(rb"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d{0,9}))?")
_RMC_DATE = re.compile(rb"(\d\d)(\d\d)(\d\d)")
_ZDA_DATE = re.compile(rb"(\d\d),(\d\d),(\d{4})")
_QUALITY = re.compile(rb"[0-8]")
_COUNT = re.compile(rb"\d{1,3}")
_HDOP = re.compile(rb"\d{1,4}(?:\.\d{0,4})?")


class ChecksumError(WireError):
    """A line with a wrong checksum or none: noise, so nothing in it is worth reading."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one sentence says; None where it says nothing."""

    time_of_day_ns: int | None = None
    """Nanoseconds since midnight UTC; a whole day and more in second 60."""
    day: date | None = None
    valid: bool | None = None
    """RMC's word on its own fix."""
    fix: Fix | None = None
    in_view: tuple[bytes, int] | None = None
    """A talker and how many satellites of its system are in view."""


def build_sentence(body: str) -> bytes:
    """An ASCII body such as `GPZDA,...` as it goes over the line."""
    content = body.encode("ascii")
    return b"$%s*%02X\r\n" % (content, reduce(xor, content, 0))


def parse_sentence(line: bytes) -> Sentence:
    """What a line without its end says (NMEA 0183 section 5.3); sentences of no use to a clock say nothing.

    Raises ChecksumError, or WireError for a value that no receiver in its right mind sends.
    """
    envelope = _SENTENCE.fullmatch(line)
    if envelope is None or reduce(xor, envelope[1], 0) != int(envelope[2], 16):
        raise ChecksumError
    address, *values = envelope[1].split(b",")
    talker, parser = address[:2], _PARSERS.get(address[2:])
    return parser(talker, values + _FEWEST_VALUES) if parser and talker in TALKERS else Sentence()


def _parse_gga(_talker: bytes, values: Sequence[bytes]) -> Sentence:
    quality, satellites, hdop = values[5:8]
    fix = Fix(
        quality=FixQuality(int(_match(_QUALITY, quality)[0])) if quality else FixQuality.NO_FIX,
        satellites_used=_parse_count(satellites),
        hdop=float(_match(_HDOP, hdop)[0]) if hdop else None,
    )
    return Sentence(time_of_day_ns=_parse_time(values[0]), fix=fix)


def _parse_rmc(_talker: bytes, values: Sequence[bytes]) -> Sentence:
    # Modes E, M, N, S: dead reckoning, typed in, nothing, a simulator. No satellite stands behind any of them.
    valid = values[1] == b"A" and values[11] not in {b"E", b"M", b"N", b"S"}
    day = _parse_date(_RMC_DATE, values[8]) if values[8] else None
    return Sentence(time_of_day_ns=_parse_time(values[0]), day=day, valid=valid)


def _parse_zda(_talker: bytes, values: Sequence[bytes]) -> Sentence:
    day = _parse_date(_ZDA_DATE, b",".join(values[1:4])) if any(values[1:4]) else None
    return Sentence(time_of_day_ns=_parse_time(values[0]), day=day)


def _parse_gsv(talker: bytes, values: Sequence[bytes]) -> Sentence:
    count = _parse_count(values[2])
    return Sentence(in_view=None if count is None else (talker, count))


_PARSERS: dict[bytes, Callable[[bytes, Sequence[bytes]], Sentence]] = {
    b"GGA": _parse_gga,
    b"RMC": _parse_rmc,
    b"ZDA": _parse_zda,
    b"GSV": _parse_gsv,
}


def _match(pattern: re.Pattern[bytes], value: bytes) -> re.Match[bytes]:
    if (found := pattern.fullmatch(value)) is None:
        raise WireError(f"NMEA value {value!r}")
    return found


def _parse_count(value: bytes) -> int | None:
    return int(_match(_COUNT, value)[0]) if value else None


def _parse_time(value: bytes) -> int | None:
    if not value:
        return None
    hour, minute, second, fraction = _match(_TIME, value).groups(b"")
    if second == b"60" and (hour, minute) != (b"23", b"59"):
        raise WireError(f"leap second at {value!r}")
    whole = (int(hour) * 60 + int(minute)) * 60 + int(second)
    return whole * NS_PER_SECOND + int(fraction.ljust(9, b"0"))


def _parse_date(pattern: re.Pattern[bytes], value: bytes) -> date:
    day, month, year = (int(digits) for digits in _match(pattern, value).groups())
    if pattern is _RMC_DATE:
        # GPS began in 1980, and so does the century that two digits can name.
        year += 1900 if year >= 80 else 2000
    try:
        return date(year, month, day)
    except ValueError as error:
        raise WireError(f"NMEA date {value!r}") from error


@dataclass(slots=True)
class _Burst:
    """All that was said about one second so far."""

    received_at: HostNs
    time_of_day_ns: int | None = None
    day: date | None = None
    valid: bool | None = None
    fix: Fix | None = None
    in_view: dict[bytes, int] = field(default_factory=dict)

    def names_another_second(self, sentence: Sentence) -> bool:
        if None not in (self.day, sentence.day) and self.day != sentence.day:
            return True
        if self.time_of_day_ns is None or sentence.time_of_day_ns is None:
            return False
        return self.time_of_day_ns // NS_PER_SECOND != sentence.time_of_day_ns // NS_PER_SECOND

    def absorb(self, sentence: Sentence) -> None:
        if self.time_of_day_ns is None:
            self.time_of_day_ns = sentence.time_of_day_ns
        self.day = self.day or sentence.day
        self.fix = sentence.fix or self.fix
        self.valid = self.valid if sentence.valid is None else sentence.valid
        if sentence.in_view:
            talker, count = sentence.in_view
            # Newer receivers repeat a system's count for each of its signals.
            self.in_view[talker] = max(count, self.in_view.get(talker, 0))

    def whole_fix(self) -> Fix:
        """GGA's fix, unless RMC calls it void; RMC's alone is of unknown quality; a date alone is no fix."""
        said = self.fix or Fix(FixQuality.GPS if self.valid else FixQuality.NO_FIX)
        void = self.valid is False and said.quality.rank > 0
        in_view = sum(self.in_view.values()) if self.in_view else None
        return replace(said, quality=FixQuality.NO_FIX if void else said.quality, satellites_in_view=in_view)

    def instant(self) -> WallNs | Reason | None:
        """What the burst names, why that is no instant, or None where it says nothing of time."""
        if self.time_of_day_ns is None:
            return None
        if self.day is None:
            return Reason.NO_DATE
        if self.day < EARLIEST_DATE:
            return Reason.IMPLAUSIBLE
        if self.time_of_day_ns >= _DAY_NS:
            # Unix time gives second 60 the number of the second after it: a pulse named so would be wrong by one.
            return Reason.LEAP_SECOND
        return WallNs((self.day.toordinal() - _EPOCH) * _DAY_NS + self.time_of_day_ns)


class NmeaAssembler:
    """Receiver bytes in; time messages, fixes without time, and verdicts out. No input raises.

    A burst is complete when a sentence names another second, or after a silence: call `flush` at `deadline`.
    """

    def __init__(self) -> None:
        self._framer = LineFramer()
        self._burst: _Burst | None = None
        self._heard_at = MonoNs(0)
        self._last_second = 0

    def deadline(self) -> MonoNs | None:
        return MonoNs(self._heard_at + BURST_SILENCE_NS) if self._burst else None

    def opened(self, now: MonoNs) -> list[TimeMessage | Fix | Verdict]:  # noqa: ARG002 - it only listens
        """The line is open."""
        return []

    def feed(self, data: bytes, received_at: HostNs, now: MonoNs) -> list[TimeMessage | Fix | Verdict]:
        """What these bytes bring to light; `received_at` stamps them, `now` measures the silence before them."""
        deadline = self.deadline()
        events = self.flush() if deadline is not None and now >= deadline else []
        self._heard_at = now
        for frame in self._framer.feed(data, received_at):
            events += self._receive(frame)
        return events

    def flush(self) -> list[TimeMessage | Fix | Verdict]:
        """The burst so far, as one event: nothing more is coming."""
        burst, self._burst = self._burst, None
        if burst is None:
            return []
        instant = burst.instant()
        if instant is None:
            return [] if burst.fix is None and burst.valid is None else [burst.whole_fix()]
        if isinstance(instant, Reason):
            return [_rejected(instant)]
        second = instant // NS_PER_SECOND
        if second == self._last_second:
            return [_rejected(Reason.STALE)]
        self._last_second = second
        return [TimeMessage(instant, burst.received_at, burst.whole_fix())]

    def _receive(self, frame: Frame) -> list[TimeMessage | Fix | Verdict]:
        try:
            sentence = parse_sentence(frame.data)
        except ChecksumError:
            return [_rejected(Reason.BAD_CHECKSUM)]
        except WireError:
            return [_rejected(Reason.IMPLAUSIBLE)]
        events = self.flush() if self._burst and self._burst.names_another_second(sentence) else []
        self._burst = self._burst or _Burst(frame.started_at)
        self._burst.absorb(sentence)
        return events


def _rejected(reason: Reason) -> Verdict:
    return Verdict(Outcome.REJECTED, reason)
