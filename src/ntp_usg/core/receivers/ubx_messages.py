"""UBX messages: what each that serves a clock says (u-blox interface descriptions, protocols 13 to 34)."""

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality, Position
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.receivers.ubx_framing import Kind, UbxFrame
from ntp_usg.core.receivers.ubx_reception import (
    Survey,
    Troubles,
    parse_hw,
    parse_nav_svin,
    parse_rf,
    parse_sig,
    parse_tim_svin,
    spoofing,
)

WEEK_MS = 7 * 86_400_000
MAX_CORRECTION_PS = 1_000_000
"""A microsecond: a receiver's clock ticks every few dozen nanoseconds, and its pulse misses by half a tick."""

_EPOCH = date(1970, 1, 1).toordinal()
_EPOCH_GRID_NS = 10_000_000
"""Fixes are made on this grid, up to a millisecond off: the receiver gives `nano` to tell by how much."""

_DIMENSIONS = {2: 2, 3: 3, 4: 3, 5: 1}
"""Of each type of fix by satellites; type 5 is a timing receiver's, that knows its place."""
_QUARTER = 900_000_000
"""90 degrees, in the messages' units."""

_ITOW = struct.Struct("<I")
_STATUS = struct.Struct("<IBBBB")
_PVT = struct.Struct("<IH6BIiBBBB")
_PLACE = struct.Struct("<24x3i40xHH")
_TIMEUTC = struct.Struct("<IIiH6B")
_TIMELS = struct.Struct("<8xBbBbi7xB")
_SAT_HEADER = struct.Struct("<4xBB2x")
_SAT = struct.Struct("<8xI")
_SVINFO = struct.Struct("<2xB9x")
_DOP = struct.Struct("<I2xHH2xH4x")
_TP = struct.Struct("<IIiHBB")


@dataclass(frozen=True, slots=True)
class TimePulse:
    """What TIM-TP says of the next pulse: where in which week it falls, and by how much it will miss its instant."""

    week: int
    time_of_week_ms: int
    correction_ps: int
    utc: bool
    """Whether week and time are UTC's, else GPS's."""


@dataclass(frozen=True, slots=True)
class LeapEvent:
    """The next leap second that is known, or the latest one."""

    leap: int
    """RFC 5905 figure 9."""
    seconds_ahead: int
    """Not above 0 when it is past."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one message says; None where it says nothing."""

    time_of_week_ms: int | None = None
    """GPS time of the navigation epoch that the message belongs to."""
    instant: WallNs | Reason | None = None
    """UTC of the epoch, or why there is none."""
    quality: FixQuality | None = None
    satellites_used: int | None = None
    satellites_in_view: int | None = None
    dimensions: int | None = None
    position: Position | None = None
    """With the height above the ellipsoid."""
    pdop: float | None = None
    tdop: float | None = None
    hdop: float | None = None
    leap: LeapEvent | None = None
    ends_epoch: bool = False
    pulse: TimePulse | None = None
    survey: Survey | None = None
    troubles: Troubles = field(default_factory=dict)


def parse_message(frame: UbxFrame) -> Report:
    """What a frame says; an answer to a command says nothing here.

    Raises WireError for a value that no receiver in its right mind sends.
    """
    parser = _PARSERS.get(frame.kind)
    return parser(frame.payload) if parser else Report()


def _parse_status(payload: bytes) -> Report:
    itow, fix_type, flags, _, flags2 = _STATUS.unpack_from(payload)
    quality = _quality(fix_type, ok=bool(flags & 1), differential=bool(flags & 2))
    return Report(
        _time_of_week(itow),
        quality=quality,
        dimensions=_DIMENSIONS.get(fix_type),
        troubles=spoofing(flags2 >> 3 & 3),
    )


def _parse_pvt(payload: bytes) -> Report:
    itow, *civil, valid, _accuracy, nano, fix_type, flags, _flags2, satellites = _PVT.unpack_from(payload)
    longitude, latitude, height, pdop, flags3 = _PLACE.unpack_from(payload)
    placed = fix_type in _DIMENSIONS and not flags3 & 1 and abs(latitude) <= _QUARTER and abs(longitude) <= 2 * _QUARTER
    return Report(
        _time_of_week(itow),
        instant=_instant(civil, nano, valid=valid & 7 == 7),  # date, time, and their fractions resolved
        quality=_quality(fix_type, ok=bool(flags & 1), differential=bool(flags & 2), carrier=flags >> 6),
        satellites_used=satellites,
        dimensions=_DIMENSIONS.get(fix_type),
        position=Position(latitude / 1e7, longitude / 1e7, height / 1e3) if placed else None,
        pdop=_dilution(pdop),
    )


def _parse_dop(payload: bytes) -> Report:
    itow, pdop, tdop, hdop = _DOP.unpack(payload)
    return Report(_time_of_week(itow), pdop=_dilution(pdop), tdop=_dilution(tdop), hdop=_dilution(hdop))


def _parse_eoe(payload: bytes) -> Report:
    return Report(_time_of_week(*_ITOW.unpack(payload)), ends_epoch=True)


def _parse_timeutc(payload: bytes) -> Report:
    itow, _accuracy, nano, *civil, valid = _TIMEUTC.unpack(payload)
    # Time of week, week and leap seconds known: without the last it would be GPS time with a guess.
    return Report(_time_of_week(itow), instant=_instant(civil, nano, valid=valid & 7 == 7))


def _parse_timels(payload: bytes) -> Report:
    _count_source, _count, source, change, event_in, valid = _TIMELS.unpack(payload)
    if change not in {-1, 0, 1}:
        raise WireError(f"a leap of {change} seconds")
    known = bool(valid & 2) and source != 0
    event = LeapEvent(change % 3, event_in)  # 1 inserts a second, and -1, as 2, leaves one out
    return Report(_time_of_week(*_ITOW.unpack_from(payload)), leap=event if known else None)


def _parse_sat(payload: bytes) -> Report:
    _version, count = _SAT_HEADER.unpack_from(payload)
    return _satellites(payload, count, (flags >> 3 & 1 for (flags,) in _SAT.iter_unpack(payload[_SAT_HEADER.size :])))


def _parse_svinfo(payload: bytes) -> Report:
    """What NAV-SAT was up to generation 6, and has replaced since."""
    count, _flags = _SAT_HEADER.unpack_from(payload)
    return _satellites(payload, count, (flags & 1 for (flags,) in _SVINFO.iter_unpack(payload[_SAT_HEADER.size :])))


def _satellites(payload: bytes, count: int, used: Iterable[int]) -> Report:
    if len(payload) != _SAT_HEADER.size + count * _SAT.size:
        raise WireError(f"{count} satellites in {len(payload)} bytes")
    itow = _time_of_week(*_ITOW.unpack_from(payload))
    return Report(itow, satellites_used=sum(used), satellites_in_view=count)


def _parse_tp(payload: bytes) -> Report:
    time_of_week, _sub, correction, week, flags, reference = _TP.unpack(payload)
    utc, utc_known, invalid = flags & 1, flags & 2, flags & 0b11_0000  # no figure, or no lock
    # A GNSS other than GPS (the low four bits) counts weeks of its own.
    if invalid or (not utc_known if utc else reference & 15):
        return Report()
    if abs(correction) > MAX_CORRECTION_PS:
        raise WireError(f"a pulse {correction} ps beside its second")
    return Report(pulse=TimePulse(week, _time_of_week(time_of_week), correction, utc=bool(utc)))


_PARSERS: dict[Kind, Callable[[bytes], Report]] = {
    Kind.NAV_STATUS: _parse_status,
    Kind.NAV_DOP: _parse_dop,
    Kind.NAV_PVT: _parse_pvt,
    Kind.NAV_TIMEUTC: _parse_timeutc,
    Kind.NAV_TIMELS: _parse_timels,
    Kind.NAV_SVINFO: _parse_svinfo,
    Kind.NAV_SAT: _parse_sat,
    Kind.NAV_SVIN: lambda payload: Report(survey=parse_nav_svin(payload)),
    Kind.NAV_EOE: _parse_eoe,
    Kind.MON_HW: lambda payload: Report(troubles=parse_hw(payload)),
    Kind.MON_RF: lambda payload: Report(troubles=parse_rf(payload)),
    Kind.TIM_TP: _parse_tp,
    Kind.TIM_SVIN: lambda payload: Report(survey=parse_tim_svin(payload)),
    Kind.SEC_SIG: lambda payload: Report(troubles=parse_sig(payload)),
}


def _time_of_week(milliseconds: int) -> int:
    if milliseconds >= WEEK_MS:
        raise WireError(f"millisecond {milliseconds} of a week")
    return milliseconds


def _dilution(hundredths: int) -> float | None:
    """What is 99.99 or more is told by a receiver that knows no better."""
    return hundredths / 100 if hundredths < 9_999 else None


def _quality(fix_type: int, *, ok: bool, differential: bool, carrier: int = 0) -> FixQuality:
    """NMEA's word for a fix; types 0 none, 1 dead reckoning, 2 to 4 by satellites, 5 time only."""
    if not ok or not 1 <= fix_type <= 5:
        return FixQuality.NO_FIX
    if fix_type == 1:
        return FixQuality.ESTIMATED
    if carrier:
        return FixQuality.FLOAT_RTK if carrier == 1 else FixQuality.RTK
    return FixQuality.DGPS if differential else FixQuality.GPS


def _instant(civil: Sequence[int], nano: int, *, valid: bool) -> WallNs | Reason:
    """A year, month, day, hour, minute and second as UTC, or why it cannot be used."""
    year, month, day, hour, minute, second = civil
    if not valid:
        return Reason.NO_DATE
    if hour > 23 or minute > 59 or second > 60 or abs(nano) > NS_PER_SECOND:
        raise WireError(f"UBX time {hour}:{minute}:{second} and {nano} ns")
    try:
        today = date(year, month, day)
    except ValueError as error:
        raise WireError(f"UBX date {year}-{month}-{day}") from error
    if second == 60:
        return Reason.LEAP_SECOND
    time_of_day = (hour * 60 + minute) * 60 + second
    exact = ((today.toordinal() - _EPOCH) * 86_400 + time_of_day) * NS_PER_SECOND + nano
    return WallNs((exact + _EPOCH_GRID_NS // 2) // _EPOCH_GRID_NS * _EPOCH_GRID_NS)
