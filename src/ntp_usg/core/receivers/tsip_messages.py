"""What each TSIP report that serves a clock says.

ThunderBolt E User Guide (64057-00) and Acutime 2000 Synchronization Kit User Guide (45005-00), appendix A each.
"""

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

from ntp_usg.core.base.dates import midnight
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality, Position
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.receivers.tsip_framing import Kind, TsipPacket

_WEEK = 7 * 86_400
_ERA = 1024 * _WEEK
_GPS_EPOCH = 315_964_800

_PRIMARY = struct.Struct(">IHhBBBBBBH")
_SUPPLEMENTAL = struct.Struct(">BBBIHHBB2x20xddd8x")
_UTC_TIME = struct.Struct(">HdBBBBBHBB2x")
_COMPREHENSIVE = struct.Struct(">HdBBHBh24xddd8b")
_DILUTIONS = struct.Struct(">xf8xf")

_UTC, _TIME_NOT_SET, _NO_UTC_INFO, _TIME_FROM_USER = 1, 4, 8, 16
_OVERDETERMINED_CLOCK = 7
_DIMENSIONS = {0: 3, 1: 1, 3: 2, 4: 3, 5: 1, 6: 2, _OVERDETERMINED_CLOCK: 1}
"""By receiver mode of 8F-AC: a receiver that knows its position computes nothing but time."""
_PALISADE_DIMENSIONS = {0: 2, 1: 3, 2: 1, 3: 3, 4: 1, 5: 2, 6: 1}
"""The same for 8F-0B, which counts its modes in another order."""
_SELECTION_DIMENSIONS = {1: 1, 3: 2, 4: 3, 5: 1, 6: 3}
_TRACKING = {0: (FixQuality.GPS, None), 1: (FixQuality.GPS, 1), 12: (FixQuality.DGPS, None), 13: (FixQuality.GPS, 1)}
"""Tracking status of 8F-AD where it is good: position fixes, one satellite, differential, overdetermined clock."""
_LEAP_PENDING, _LEAP_NOW = 2, 8

_DISCIPLINING = {
    1: "powering up",
    2: "holdover",
    3: "holdover by command",
    4: "recovering from holdover",
    6: "not disciplined",
}
_AGES = ((86_400, "a day"), (21_600, "6 hours"), (3600, "an hour"), (600, "10 minutes"), (60, "a minute"))
_FAULTS = ("ROM", "RAM", "power supply", "FPGA")
_AT_RAIL = 16


@dataclass(frozen=True, slots=True)
class Report:
    """What one packet says; None where it says nothing."""

    instant: WallNs | Reason | None = None
    """UTC of the pulse that has just passed, or why there is none."""
    quality: FixQuality | None = None
    dimensions: int | None = None
    satellites_used: int | None = None
    pdop: float | None = None
    tdop: float | None = None
    position: Position | None = None
    leap_change: int | None = None
    """Seconds that will be inserted at the end of some month."""
    troubles: dict[str, Trouble | None] = field(default_factory=dict)
    """By part of the receiver: what is wrong with it, None where nothing is."""


def parse_report(packet: TsipPacket) -> Report | None:
    """What a packet says; None for one of no use to a clock.

    Raises WireError for a length or value that no receiver in its right mind sends.
    """
    parser = _PARSERS.get(packet.kind)
    try:
        return parser(packet.data) if parser else None
    except struct.error as error:
        raise WireError(f"TSIP packet {packet.kind:02X} of {len(packet.data)} bytes") from error


def _parse_primary(data: bytes) -> Report:
    """8F-AB: civil time in the scale that the flags name, beside week and second of GPS time."""
    time_of_week, week, gps_ahead, flags, second, minute, hour, day, month, year = _PRIMARY.unpack(data)
    if flags & (_TIME_NOT_SET | _NO_UTC_INFO | _TIME_FROM_USER):
        return Report(Reason.NO_DATE)
    if second == 60:
        return Report(Reason.LEAP_SECOND)
    utc = _civil((year, month, day), (hour, minute, second)) - (0 if flags & _UTC else gps_ahead)
    # Without a checksum this stands for one. Where the firmware has lost count of the weeks, only the civil date has.
    if time_of_week >= _WEEK or (_GPS_EPOCH + week * _WEEK + time_of_week - gps_ahead - utc) % _ERA:
        raise WireError(f"second {time_of_week} of GPS week {week} is not {year}-{month}-{day}")
    return Report(WallNs(utc * NS_PER_SECOND))


def _parse_supplemental(data: bytes) -> Report:
    """8F-AC: how the receiver is; `decoding` 0 is doing fixes."""
    mode, discipline, survey, holdover, critical, minor, decoding, _, *place = _SUPPLEMENTAL.unpack(data)
    is_tracking = decoding == 0 and not minor & 1 << 3
    return Report(
        quality=FixQuality.GPS if is_tracking else FixQuality.NO_FIX,
        dimensions=_DIMENSIONS.get(mode) if is_tracking else None,
        position=_position(*place),
        leap_change=minor >> 7 & 1,
        troubles={
            "antenna": _antenna(minor),
            "survey": Trouble(Doubt.SURVEY, f"self-survey {survey // 5 * 5} %") if minor & 1 << 5 else None,
            "position": Trouble(Doubt.MOVED, "its position is questionable") if minor & 1 << 9 else None,
            "discipline": _discipline(discipline, holdover),
            "fault": _fault(critical, minor),
        },
    )


def _antenna(minor: int) -> Trouble | None:
    if not minor & 0b110:
        return None
    return Trouble(Doubt.ANTENNA, "antenna open" if minor & 0b010 else "antenna shorted")


def _discipline(mode: int, holdover: int) -> Trouble | None:
    if mode not in _DISCIPLINING:
        return None
    # In steps, so that it is not said again each second.
    age = next((f" for more than {words}" for least, words in _AGES if holdover >= least), "")
    return Trouble(Doubt.OSCILLATOR, _DISCIPLINING[mode] + age)


def _fault(critical: int, minor: int) -> Trouble | None:
    faults = [f"{name} fault" for bit, name in enumerate(_FAULTS) if critical & 1 << bit]
    if critical & _AT_RAIL:
        faults.append("oscillator at the end of its range")
    if faults:
        return Trouble(Doubt.FAULT, ", ".join(faults), severe=True)
    return Trouble(Doubt.FAULT, "oscillator near the end of its range") if minor & 1 else None


def _parse_utc_time(data: bytes) -> Report | None:
    """8F-AD of Palisade and Acutime: UTC of a pulse, or of an external event, which is of no use here."""
    event, fraction, hour, minute, second, day, month, year, tracking, flags = _UTC_TIME.unpack(data)
    quality, dimensions = _TRACKING.get(tracking, (FixQuality.NO_FIX, None))
    if event:
        return None
    if not flags & 1:
        return Report(Reason.NO_DATE, quality=quality, dimensions=dimensions)
    if second == 60 or flags & _LEAP_NOW:
        return Report(Reason.LEAP_SECOND, quality=quality, dimensions=dimensions)
    utc = _civil((year, month, day), (hour, minute, second)) + _whole(fraction)
    leap = int(bool(flags & _LEAP_PENDING))
    return Report(WallNs(utc * NS_PER_SECOND), quality=quality, dimensions=dimensions, leap_change=leap)


def _parse_comprehensive(data: bytes) -> Report | None:
    """8F-0B of Palisade and Acutime: the same with the position, and the satellites; those not used are negative."""
    event, time_of_week, day, month, year, mode, gps_ahead, *rest = _COMPREHENSIVE.unpack(data)
    if event:
        return None
    used = sum(satellite > 0 for satellite in rest[3:])
    dimensions = _PALISADE_DIMENSIONS.get(mode) if used else None
    instant: WallNs | Reason = Reason.NO_DATE
    if gps_ahead:
        second = _whole(time_of_week)
        if not 0 <= second < _WEEK:
            raise WireError(f"second {second} of a week")
        instant = WallNs((_civil((year, month, day), (0, 0, 0)) + second % 86_400) * NS_PER_SECOND)
    quality = FixQuality.GPS if used else FixQuality.NO_FIX
    place = _position(*rest[:3])
    return Report(instant, quality=quality, dimensions=dimensions, satellites_used=used, position=place)


def _parse_satellites(data: bytes) -> Report:
    """6D: the answer to 24."""
    return _selection(data, 17, data[0] >> 4 if data else 0)


def _parse_tracked_satellites(data: bytes) -> Report:
    """6C: the same of receivers of several systems, whose count needs a byte of its own."""
    return _selection(data, 18, data[17] if len(data) > 17 else 0)


def _selection(data: bytes, head: int, count: int) -> Report:
    """A satellite that T-RAIM leaves out is negative."""
    pdop, tdop = _DILUTIONS.unpack_from(data)
    satellites = struct.unpack(f"{head}x{count}b", data)
    return Report(
        dimensions=_SELECTION_DIMENSIONS.get(data[0] & 7),
        satellites_used=sum(satellite > 0 for satellite in satellites),
        pdop=_dilution(pdop),
        tdop=_dilution(tdop),
    )


_PARSERS: dict[int, Callable[[bytes], Report | None]] = {
    Kind.PRIMARY_TIMING: _parse_primary,
    Kind.SUPPLEMENTAL_TIMING: _parse_supplemental,
    Kind.UTC_TIME: _parse_utc_time,
    Kind.COMPREHENSIVE_TIME: _parse_comprehensive,
    Kind.SATELLITES: _parse_satellites,
    Kind.TRACKED_SATELLITES: _parse_tracked_satellites,
}


def _civil(day: tuple[int, int, int], clock: tuple[int, int, int]) -> int:
    """Unix seconds."""
    hour, minute, second = clock
    if hour > 23 or minute > 59 or second > 59:
        raise WireError(f"TSIP time {hour}:{minute}:{second}")
    try:
        today = midnight(date(*day))
    except ValueError as error:
        raise WireError(f"TSIP date {day}") from error
    return today // NS_PER_SECOND + (hour * 60 + minute) * 60 + second


def _whole(number: float) -> int:
    """A count of seconds that marks a pulse, and so has no fraction worth the name."""
    if not math.isfinite(number) or abs(number) > _WEEK or abs(number - round(number)) > 1e-3:
        raise WireError(f"a pulse at second {number}")
    return round(number)


def _position(latitude: float, longitude: float, height: float) -> Position | None:
    """From radians and metres; one that was never set is all zeroes."""
    if not (abs(latitude) <= math.pi / 2 and abs(longitude) <= math.pi and abs(height) < 1e5):  # NaN is not, either
        raise WireError(f"a position of {latitude} and {longitude} radians, {height} m")
    at = Position(math.degrees(latitude), math.degrees(longitude), height)
    return at if latitude or longitude or height else None


def _dilution(value: float) -> float | None:
    return value if 0 < value < 100 else None
