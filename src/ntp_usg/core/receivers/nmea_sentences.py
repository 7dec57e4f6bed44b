"""What single NMEA 0183 sentences say to a clock."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import xor

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.core.base.samples import Fix, FixQuality, Position

TALKERS = frozenset({b"GP", b"GN", b"GL", b"GA", b"GB", b"BD", b"GQ", b"QZ", b"PQ", b"GI"})
"""GPS, several systems at once, GLONASS, Galileo, BeiDou (twice), QZSS (three times), NavIC."""

_FEWEST_VALUES = [b""] * 18
_SATELLITES = slice(2, 14)
"""Of GSA: a receiver that uses more sends several."""

_SENTENCE = re.compile(rb"\$([^*]+)\*([0-9A-Fa-f]{2})")
_NAME = re.compile(rb"[A-Z0-9]{2,8}")
_TIME = re.compile(rb"([01]\d|2[0-3])([0-5]\d)([0-5]\d|60)(?:\.(\d{0,9}))?")
_RMC_DATE = re.compile(rb"(\d\d)(\d\d)(\d\d)")
_ZDA_DATE = re.compile(rb"(\d\d),(\d\d),(\d{4})")
_QUALITY = re.compile(rb"[0-8]")
_DIMENSIONS = re.compile(rb"[123]")
_COUNT = re.compile(rb"\d{1,3}")
_DILUTION = re.compile(rb"\d{1,4}(?:\.\d{0,4})?")
_POSITION = re.compile(rb"(\d\d)([0-5]\d\.?\d{0,9}),([NS]),(\d{3})([0-5]\d\.?\d{0,9}),([EW])")
_HEIGHT = re.compile(rb"-?\d{1,5}(?:\.\d{0,4})?")
_ANTENNA = re.compile(rb"(?:ANTSTATUS=|ANTENNA )(OK|OPEN|SHORT)")


class ChecksumError(WireError):
    """A line with a wrong checksum or none: noise, so nothing in it is worth reading."""


@dataclass(frozen=True, slots=True)
class Solution:
    """How a position was found (GSA)."""

    dimensions: int = 1
    """1 none, 2 with the height of the one before, 3 whole."""
    pdop: float | None = None
    hdop: float | None = None
    satellites: frozenset[bytes] = frozenset()
    """Those it was found with, named so that no two systems share a name."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one sentence says; None where it says nothing."""

    name: str = ""
    """`RMC` whoever talks; the whole address of one that is no satellite system's, such as `PUBX`."""
    time_of_day_ns: int | None = None
    """Nanoseconds since midnight UTC; a whole day and more in second 60."""
    day: date | None = None
    valid: bool | None = None
    """RMC's and GLL's word on their own fix."""
    fix: Fix | None = None
    position: Position | None = None
    """Without a height: GGA's, which has one, is in its fix."""
    solution: Solution | None = None
    in_view: tuple[bytes, int] | None = None
    """A talker and how many satellites of its system are in view."""
    antenna: str | None = None
    """`OK`, `OPEN` or `SHORT`."""


def build_sentence(body: str) -> bytes:
    """An ASCII body such as `GPZDA,...` as it goes over the line."""
    content = body.encode("ascii")
    return b"$%s*%02X\r\n" % (content, reduce(xor, content, 0))


def parse_sentence(line: bytes) -> Sentence:
    """What a line without its end says (NMEA 0183 section 5.3); of a sentence of no use to a clock only its name.

    Raises ChecksumError, or WireError for a value that no receiver in its right mind sends.
    """
    envelope = _SENTENCE.fullmatch(line)
    if envelope is None or reduce(xor, envelope[1], 0) != int(envelope[2], 16):
        raise ChecksumError
    address, *values = envelope[1].split(b",")
    if not _NAME.fullmatch(address):
        return Sentence()
    talker, formatter = address[:2], address[2:]
    if talker not in TALKERS or not formatter:
        return Sentence(address.decode("ascii"))
    name, parser = formatter.decode("ascii"), _PARSERS.get(formatter)
    return parser(name, talker, values + _FEWEST_VALUES) if parser else Sentence(name)


def _parse_gga(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    quality, satellites, hdop = values[5:8]
    fix = Fix(
        quality=FixQuality(int(_match(_QUALITY, quality)[0])) if quality else FixQuality.NO_FIX,
        satellites_used=_parse_count(satellites),
        hdop=_parse_dilution(hdop),
        position=_parse_position(values[1:5], values[8]),
    )
    return Sentence(name, time_of_day_ns=_parse_time(values[0]), fix=fix)


def _parse_gll(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    valid = _is_valid(values[5], values[6])
    return Sentence(name, time_of_day_ns=_parse_time(values[4]), valid=valid, position=_parse_position(values[:4]))


def _parse_rmc(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    return Sentence(
        name,
        time_of_day_ns=_parse_time(values[0]),
        day=_parse_date(_RMC_DATE, values[8]) if values[8] else None,
        valid=_is_valid(values[1], values[11]),
        position=_parse_position(values[2:6]),
    )


def _parse_zda(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    day = _parse_date(_ZDA_DATE, b",".join(values[1:4])) if any(values[1:4]) else None
    return Sentence(name, time_of_day_ns=_parse_time(values[0]), day=day)


def _parse_gsa(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    system = talker + values[17][:2] + b" "  # NMEA 4.10 tells the systems of a common fix apart by a number
    solution = Solution(
        dimensions=int(_match(_DIMENSIONS, values[1])[0]) if values[1] else 1,
        pdop=_parse_dilution(values[14]),
        hdop=_parse_dilution(values[15]),
        satellites=frozenset(system + _match(_COUNT, number)[0] for number in values[_SATELLITES] if number),
    )
    return Sentence(name, solution=solution)


def _parse_gsv(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    count = _parse_count(values[2])
    return Sentence(name, in_view=None if count is None else (talker, count))


def _parse_txt(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    """The antenna's state as u-blox (`ANTSTATUS=OPEN`) and MediaTek and its heirs (`ANTENNA OPEN`) put it."""
    said = _ANTENNA.fullmatch(values[3])
    return Sentence(name, antenna=said[1].decode("ascii") if said else None)


_PARSERS: dict[bytes, Callable[[str, bytes, Sequence[bytes]], Sentence]] = {
    b"GGA": _parse_gga,
    b"GLL": _parse_gll,
    b"GSA": _parse_gsa,
    b"GSV": _parse_gsv,
    b"RMC": _parse_rmc,
    b"TXT": _parse_txt,
    b"ZDA": _parse_zda,
}


def _match(pattern: re.Pattern[bytes], value: bytes) -> re.Match[bytes]:
    if (found := pattern.fullmatch(value)) is None:
        raise WireError(f"NMEA value {value!r}")
    return found


def _is_valid(status: bytes, mode: bytes) -> bool:
    # Modes E, M, N, S: dead reckoning, typed in, nothing, a simulator. No satellite stands behind any of them.
    return status == b"A" and mode not in {b"E", b"M", b"N", b"S"}


def _parse_count(value: bytes) -> int | None:
    return int(_match(_COUNT, value)[0]) if value else None


def _parse_dilution(value: bytes) -> float | None:
    return float(_match(_DILUTION, value)[0]) if value else None


def _parse_position(values: Sequence[bytes], height: bytes = b"") -> Position | None:
    """Degrees and minutes; one that makes no sense is none: the time beside it may be good all the same."""
    where = _POSITION.fullmatch(b",".join(values))
    if where is None:
        return None
    latitude, longitude = int(where[1]) + float(where[2]) / 60, int(where[4]) + float(where[5]) / 60
    if latitude > 90 or longitude > 180:
        return None
    return Position(
        latitude if where[3] == b"N" else -latitude,
        longitude if where[6] == b"E" else -longitude,
        float(height) if _HEIGHT.fullmatch(height) else 0.0,
    )


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
