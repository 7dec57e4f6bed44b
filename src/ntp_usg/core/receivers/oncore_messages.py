"""What each Oncore message that serves a clock says.

M12+ User's Guide (revision 6.X), chapter 5; VP Oncore Command Reference (Synergy Systems, 2001) for 6 and 8 channels.
"""

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
from ntp_usg.core.receivers.oncore_framing import Kind, OncoreMessage

_TIME_AND_PLACE = struct.Struct(">BBHBBBIiii4x")
_PLACE = struct.Struct(">iii")
_VIEW = struct.Struct(">4xHBBB")
_VIEW_12 = struct.Struct(">22xHBB")
_CHANNEL = struct.Struct(">BBBB")
_CHANNEL_12 = struct.Struct(">BBBBH")
_STATUS_12 = struct.Struct(">H10xB9x")
_RAIM = struct.Struct(">15xBBBBHb")
_RAIM_12 = struct.Struct(">BBBB4xHb")
_LEAP = struct.Struct(">BBHBBBIBBB")

_MAS_PER_DEGREE = 3_600_000
_USED_12 = 0x0880
"""A channel used for the position, or for time."""

_3D, _2D, _HOLD_OR_ACQUIRING, _POOR_GEOMETRY, _PROPAGATE, _DIFFERENTIAL, _BAD_ALMANAC = 32, 16, 8, 64, 128, 4, 1
_STATES_12: dict[int, tuple[FixQuality, int | None]] = {
    0b111: (FixQuality.GPS, 3),
    0b110: (FixQuality.GPS, 2),
    0b101: (FixQuality.ESTIMATED, None),
    0b100: (FixQuality.GPS, 1),
}
_DIFFERENTIAL_12 = 1 << 6
_UTC_MODE, _UTC_KNOWN = 0x80, 0x40
_ANTENNA = {
    1: Trouble(Doubt.ANTENNA, "antenna shorted"),
    2: Trouble(Doubt.ANTENNA, "antenna open"),
    3: Trouble(Doubt.ANTENNA, "antenna without supply"),
}
_GEOMETRY = Trouble(Doubt.GEOMETRY, "poor geometry")
_ALARM = Trouble(Doubt.GEOMETRY, "T-RAIM alarm: the satellites contradict each other", severe=True)
_GRID_NS = 10_000_000
"""Measurements are made up to a millisecond after the second: the receiver slips them back into it."""


@dataclass(frozen=True, slots=True)
class PositionReport:
    """@@Ba, @@Ea, @@Ha: all of one second, that has just begun."""

    instant: WallNs | Reason
    utc_known: bool | None
    """Whether it is UTC; None where another message has to say so."""
    quality: FixQuality
    dimensions: int | None
    satellites_used: int
    satellites_in_view: int
    pdop: float | None
    position: Position
    troubles: dict[str, Trouble | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RaimReport:
    """@@Bn, @@En, @@Hn: how far the next pulse can be relied on."""

    pulsing: bool
    alarm: Trouble | None
    negative_sawtooth_ns: int


@dataclass(frozen=True, slots=True)
class LeapReport:
    """@@Bj, @@Gj: seconds to be inserted, at the end of `day` where that is told."""

    change: int
    day: date | None


Report = PositionReport | RaimReport | LeapReport


def parse_message(message: OncoreMessage) -> Report | None:
    """What a message says; None for one that only answers a command.

    Raises WireError for a value that no receiver in its right mind sends.
    """
    parser = _PARSERS.get(message.kind)
    return parser(message.data) if parser else None


def _parse_position(data: bytes) -> PositionReport:
    """6 and 8 channels: whether the time is UTC, @@Bo must say."""
    dop, antenna_and_type, in_view, _ = _VIEW.unpack_from(data, _TIME_AND_PLACE.size)
    channels = data[_TIME_AND_PLACE.size + _VIEW.size : -1]
    used = sum(flags >> 7 for _, _, _, flags in _CHANNEL.iter_unpack(channels))
    status = data[-1]
    quality, dimensions = _fix(status, used)
    return PositionReport(
        Reason.NO_DATE if status & _BAD_ALMANAC else _instant(data),
        utc_known=None,
        quality=quality,
        dimensions=dimensions,
        satellites_used=used,
        satellites_in_view=in_view,
        pdop=_dilution(dop) if dimensions == 3 else None,
        position=_position(data),
        troubles={
            "antenna": _ANTENNA.get(antenna_and_type >> 6),
            "geometry": _GEOMETRY if status & _POOR_GEOMETRY else None,
        },
    )


def _fix(status: int, used: int) -> tuple[FixQuality, int | None]:
    """One bit stands for position hold and for acquiring satellites: the latter has none in use."""
    quality = FixQuality.DGPS if status & _DIFFERENTIAL else FixQuality.GPS
    if status & _PROPAGATE:
        return FixQuality.ESTIMATED, None
    if status & (_3D | _2D):
        return quality, 3 if status & _3D else 2
    return (quality, 1) if status & _HOLD_OR_ACQUIRING and used else (FixQuality.NO_FIX, None)


def _parse_position_12(data: bytes) -> PositionReport:
    """12 channels: time may be GPS's, then it is put right."""
    dop, in_view, _ = _VIEW_12.unpack_from(data, _TIME_AND_PLACE.size)
    status, utc = _STATUS_12.unpack_from(data, len(data) - _STATUS_12.size)
    channels = data[_TIME_AND_PLACE.size + _VIEW_12.size : -_STATUS_12.size]
    state, dimensions = _STATES_12.get(status >> 13, (FixQuality.NO_FIX, None))
    is_differential = state is FixQuality.GPS and status & _DIFFERENTIAL_12
    instant = _instant(data)
    if isinstance(instant, int) and not utc & _UTC_MODE:
        instant = WallNs(instant - _six_bits(utc) * NS_PER_SECOND)
    return PositionReport(
        instant,
        utc_known=bool(utc & _UTC_KNOWN),
        quality=FixQuality.DGPS if is_differential else state,
        dimensions=dimensions,
        satellites_used=sum(flags & _USED_12 > 0 for *_, flags in _CHANNEL_12.iter_unpack(channels)),
        satellites_in_view=in_view,
        pdop=_dilution(dop) if dimensions == 3 else None,
        position=_position(data),
        troubles={
            "antenna": _ANTENNA.get(status >> 1 & 3),
            "geometry": _GEOMETRY if status >> 13 == 0b010 else None,
        },
    )


def _parse_raim(data: bytes) -> RaimReport:
    return _raim(*_RAIM.unpack_from(data))


def _parse_raim_12(data: bytes) -> RaimReport:
    return _raim(*_RAIM_12.unpack_from(data))


def _raim(pulsing: int, _scale: int, solution: int, _status: int, _accuracy: int, sawtooth: int) -> RaimReport:
    return RaimReport(pulsing=bool(pulsing), alarm=_ALARM if solution == 1 else None, negative_sawtooth_ns=sawtooth)


def _parse_leap_pending(data: bytes) -> LeapReport:
    """@@Bj: 1 inserts a second, 2 leaves one out, some time."""
    change = {0: 0, 1: 1, 2: -1}.get(data[0])
    if change is None:
        raise WireError(f"leap status {data[0]}")
    return LeapReport(change, None)


def _parse_leap_date(data: bytes) -> LeapReport:
    """@@Gj: what GPS is ahead by, and will be from a day on; without an almanac there is neither."""
    present, future, year, month, day, *_ = _LEAP.unpack(data)
    if present == future:
        return LeapReport(0, None)
    if abs(future - present) != 1:
        raise WireError(f"a leap from {present} to {future} seconds")
    return LeapReport(future - present, _date(year, month, day))


_PARSERS: dict[Kind, Callable[[bytes], Report]] = {
    Kind.POSITION_6: _parse_position,
    Kind.POSITION_8: _parse_position,
    Kind.POSITION_12: _parse_position_12,
    Kind.RAIM_6: _parse_raim,
    Kind.RAIM_8: _parse_raim,
    Kind.RAIM_12: _parse_raim_12,
    Kind.LEAP_PENDING: _parse_leap_pending,
    Kind.LEAP_DATE: _parse_leap_date,
}


def _instant(data: bytes) -> WallNs | Reason:
    month, day, year, hour, minute, second, fraction, *_ = _TIME_AND_PLACE.unpack_from(data)
    if hour > 23 or minute > 59 or second > 60 or fraction >= NS_PER_SECOND:
        raise WireError(f"Oncore time {hour}:{minute}:{second} and {fraction} ns")
    start = midnight(_date(year, month, day))
    if second == 60:
        return Reason.LEAP_SECOND
    exact = start + ((hour * 60 + minute) * 60 + second) * NS_PER_SECOND + fraction
    return WallNs((exact + _GRID_NS // 2) // _GRID_NS * _GRID_NS)


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise WireError(f"Oncore date {year}-{month}-{day}") from error


def parse_position(data: bytes) -> Position:
    """Latitude, longitude and height above the ellipsoid, as @@As has them too: milliseconds of arc, centimetres."""
    latitude, longitude, height = _PLACE.unpack_from(data)
    if abs(latitude) > 90 * _MAS_PER_DEGREE or abs(longitude) > 180 * _MAS_PER_DEGREE or abs(height) > 10_000_000:
        raise WireError(f"a position of {latitude} and {longitude} mas, {height} cm")
    return Position(latitude / _MAS_PER_DEGREE, longitude / _MAS_PER_DEGREE, height / 100)


def build_position(position: Position) -> bytes:
    """The same the other way round."""
    return _PLACE.pack(
        round(position.latitude_deg * _MAS_PER_DEGREE),
        round(position.longitude_deg * _MAS_PER_DEGREE),
        round(position.height_m * 100),
    )


def _position(data: bytes) -> Position:
    return parse_position(data[11:23])


def _dilution(tenths: int) -> float | None:
    return tenths / 10 if 0 < tenths < 1000 else None


def _six_bits(value: int) -> int:
    """The low six bits as a signed number."""
    return ((value & 0x3F) ^ 0x20) - 0x20
