"""What single NMEA 0183 sentences say to a clock."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import xor

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.core.base.samples import FixQuality, Position
from ntp_usg.core.receivers.evidence import Claim

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
_MODES = re.compile(rb"[A-Z]{1,10}")
_SYSTEM = re.compile(rb"[1-9A-F]")
_DIMENSIONS = re.compile(rb"[123]")
_COUNT = re.compile(rb"\d{1,3}")
_DILUTION = re.compile(rb"\d{1,4}(?:\.\d{0,4})?")
_POSITION = re.compile(rb"(\d\d)([0-5]\d\.?\d{0,9}),([NS]),(\d{3})([0-5]\d\.?\d{0,9}),([EW])")
_HEIGHT = re.compile(rb"-?\d{1,5}(?:\.\d{0,4})?")
_ANTENNA = re.compile(rb"(?:ANTSTATUS=|ANTENNA )(OK|OPEN|SHORT)")


_QUALITIES = {
    ord("A"): FixQuality.GPS,
    ord("D"): FixQuality.DGPS,
    ord("P"): FixQuality.PPS,
    ord("R"): FixQuality.RTK,
    ord("F"): FixQuality.FLOAT_RTK,
    ord("E"): FixQuality.ESTIMATED,
    ord("M"): FixQuality.MANUAL,
    ord("S"): FixQuality.SIMULATION,
    ord("N"): FixQuality.NO_FIX,
}
"""The modes of RMC, GLL and GNS."""
_NO_DIMENSIONS = 1
"""GSA's word for no fix."""


class ChecksumError(WireError):
    """A line with a wrong checksum or none: noise, so nothing in it is worth reading."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one sentence says; None where it says nothing."""

    name: str = ""
    """`RMC` whoever talks; the whole address of one that is no satellite system's, such as `PUBX`."""
    time_of_day_ns: int | None = None
    """Nanoseconds since midnight UTC; a whole day and more in second 60."""
    day: date | None = None
    claim: Claim | None = None
    """What it says of the fix."""
    system: bytes = b""
    """The satellite system or systems that it speaks of, where it comes once for each."""
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


def _parse_gga(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    quality = FixQuality(int(_match(_QUALITY, values[5])[0])) if values[5] else None
    return Sentence(name, _parse_time(values[0]), claim=_whole_claim(quality, values), system=talker)


def _parse_gns(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    """GGA's successor for receivers of several systems: a mode for each, the fix is as good as the best of them."""
    modes = _match(_MODES, values[5])[0] if values[5] else b""
    known = [_QUALITIES[mode] for mode in modes if mode in _QUALITIES]
    quality = max(known, key=lambda quality: (quality.rank, quality), default=None)
    return Sentence(name, _parse_time(values[0]), claim=_whole_claim(quality, values), system=talker)


def _whole_claim(quality: FixQuality | None, values: Sequence[bytes]) -> Claim:
    """What GGA and GNS have in common."""
    count = _parse_count(values[6])
    # No fix comes from no satellites: a zero beside one is a field that the receiver does not fill in.
    is_filled = count != 0 or (quality is not None and not quality.rank)
    return Claim(
        quality,
        satellites_used=count if is_filled else None,
        hdop=_parse_dilution(values[7]),
        position=_parse_position(values[1:5], values[8]),
        height_known=_HEIGHT.fullmatch(values[8]) is not None,
    )


def _parse_gll(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    claim = _flat_claim(values[5], values[6], values[:4])
    return Sentence(name, _parse_time(values[4]), claim=claim, system=talker)


def _parse_rmc(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    day = _parse_date(_RMC_DATE, values[8]) if values[8] else None
    claim = _flat_claim(values[1], values[11], values[2:6])
    return Sentence(name, _parse_time(values[0]), day, claim, talker)


def _flat_claim(status: bytes, mode: bytes, place: Sequence[bytes]) -> Claim:
    """What GLL and RMC have in common: a word on their fix, and a position without a height."""
    return Claim(_grade(status, mode), position=_parse_position(place), height_known=False)


def _parse_zda(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    day = _parse_date(_ZDA_DATE, b",".join(values[1:4])) if any(values[1:4]) else None
    return Sentence(name, _parse_time(values[0]), day)


def _parse_gsa(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    # NMEA 4.10 tells the systems of a common fix apart by a number.
    system = talker + (values[17] if _SYSTEM.fullmatch(values[17]) else b"") + b" "
    satellites = frozenset(system + _match(_COUNT, number)[0] for number in values[_SATELLITES] if number)
    dimensions = int(_match(_DIMENSIONS, values[1])[0]) if values[1] else None
    claim = Claim(
        satellites_used=0 if dimensions == _NO_DIMENSIONS and not satellites else None,
        satellites=satellites,
        dimensions=None if dimensions == _NO_DIMENSIONS else dimensions,
        hdop=_parse_dilution(values[15]),
        pdop=_parse_dilution(values[14]),
    )
    return Sentence(name, claim=claim, system=system)


def _parse_gsv(name: str, talker: bytes, values: Sequence[bytes]) -> Sentence:
    # Newer receivers repeat a system's count for each of its signals.
    return Sentence(name, claim=Claim(satellites_in_view=_parse_count(values[2])), system=talker)


def _parse_txt(name: str, _talker: bytes, values: Sequence[bytes]) -> Sentence:
    """The antenna's state as u-blox (`ANTSTATUS=OPEN`) and MediaTek and its heirs (`ANTENNA OPEN`) put it."""
    said = _ANTENNA.fullmatch(values[3])
    return Sentence(name, antenna=said[1].decode("ascii") if said else None)


_PARSERS: dict[bytes, Callable[[str, bytes, Sequence[bytes]], Sentence]] = {
    b"GGA": _parse_gga,
    b"GLL": _parse_gll,
    b"GNS": _parse_gns,
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


def _grade(status: bytes, mode: bytes) -> FixQuality | None:
    """A fix as status and mode say: `A` is valid, anything else is not; both may be missing."""
    if not status:
        return None
    if status != b"A":
        return FixQuality.NO_FIX
    # Old receivers send no mode.
    return _QUALITIES.get(mode[0], FixQuality.GPS) if mode else FixQuality.GPS


def _parse_count(value: bytes) -> int | None:
    return int(_match(_COUNT, value)[0]) if value else None


def _parse_dilution(value: bytes) -> float | None:
    """No dilution is 0: a field that is not filled in."""
    return float(_match(_DILUTION, value)[0]) or None if value else None


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
