"""What a u-blox receiver is to be told so that it serves a clock: each setting, how it is read and how it is changed.

Receivers up to generation 8 have a message for each group of settings; from protocol 27 on there are keys and values
(u-blox 8/M8 receiver description UBX-13003221, section 32.11; ZED-F9T interface description UBX-18053584, chapter 6).
All of it goes to the receiver's working memory only: without power it is again what it was.
"""

import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.samples import Position
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame

KEYS_FROM_PROTOCOL = 27
UART1, UART2, USB = 1, 2, 3
"""As CFG-PRT numbers a receiver's ports."""

MESSAGES_ON, PULSES_ON, MEASURES, STANDS = "timing messages on", "one pulse a second on UTC", "1 Hz", "stationary"

_SURVEY, _FIXED = 1, 2
_STATIONARY = 2
_SECOND_US, _SECOND_MS, _PULSE_US = 1_000_000, 1_000, 100_000
_SLOWLY = 5
"""Epochs from one message to the next where they are long, or their news can wait."""

_TP5 = struct.Struct("<BB2x2h4IiI")
_TMODE2 = struct.Struct("<BxH3i3I")
_TMODE3 = struct.Struct("<BxH3i3bx3I8x")
_TP_FLAGS, _TP_WANTED = 0b111_1011_1111, 0b000_0011_0111
"""All but the polarity; active, locked to GNSS, other values while locked, in lengths, on the top of UTC's second."""

_NMEA = (0xF000, 0xF001, 0xF002, 0xF003, 0xF004, 0xF005, 0xF008)
"""GGA GLL GSA GSV RMC VTG ZDA: what is on when a receiver leaves the factory, and fills a slow line."""

_MESSAGE_KEYS = {
    Kind.NAV_PVT: 0x20910006,
    Kind.NAV_SAT: 0x20910015,
    Kind.NAV_STATUS: 0x2091001A,
    Kind.NAV_DOP: 0x20910038,
    Kind.NAV_TIMELS: 0x20910060,
    Kind.NAV_SVIN: 0x20910088,
    Kind.TIM_SVIN: 0x20910097,
    Kind.NAV_EOE: 0x2091015F,
    Kind.TIM_TP: 0x2091017D,
    Kind.MON_RF: 0x20910359,
    Kind.SEC_SIG: 0x20910634,
}
"""Of port 0; each other port's is so much higher."""
_NMEA_KEYS = {UART1: 0x10740002, UART2: 0x10760002, USB: 0x10780002}
_RATE_KEYS = {0x30210001: _SECOND_MS, 0x30210002: 1}
_INTERFERENCE_KEYS = {0x1041000D: 1}
_DYNAMIC_MODEL_KEYS = {0x20110021: _STATIONARY}
_PULSE_KEYS = {
    0x20050023: 0,  # a period, not a frequency
    0x20050030: 1,  # a length, not a share
    0x40050002: _SECOND_US,
    0x40050003: _SECOND_US,
    0x40050004: 0,  # no pulse is better than one at any time
    0x40050005: _PULSE_US,
    0x10050007: 1,  # on
    0x10050008: 1,  # by GNSS
    0x10050009: 1,  # other values while locked
    0x1005000A: 1,  # at the top of the second
    0x2005000C: 0,  # of UTC
}
_TMODE_KEY = 0x20030001
_KEY_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8}
"""Bytes of a value, by the highest four bits of its key."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the antenna stands, or how the receiver is to find out."""

    survey_in_secs: int
    """0 leaves the receiver as it is."""
    accuracy_m: float
    """A survey ends when the position is this exact; a position that is given is taken to be."""
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that a receiver is to be told, and how to see that it has taken it."""

    purpose: str
    """As it is told to people when it is done."""
    question: bytes
    """The frame that asks for the present state."""
    answer: Kind
    change: Callable[[bytes], bytes | None]
    """The frame that is to follow upon an answer's payload; None when all is as it should be.

    Raises WireError for an answer to another question.
    """
    optional: bool = False
    otherwise: "Setting | None" = None
    """What will do for a receiver that refuses this one."""


def settings_for(protocol: int, ports: Sequence[int], placement: Placement) -> list[Setting]:
    """All that a receiver is to be told, the most useful first; `ports` are those of its own that may lead to us."""
    plan = _by_keys(ports) if protocol >= KEYS_FROM_PROTOCOL else _by_messages(ports[0])
    return [*plan, *_placed(protocol, placement)]


def has_usb() -> bytes:
    """The question that a receiver with keys refuses when it has no USB."""
    return build_frame(Kind.CFG_VALGET, bytes(4) + _packed([_MESSAGE_KEYS[Kind.NAV_PVT] + USB]))


def _by_keys(ports: Sequence[int]) -> Iterator[Setting]:
    def message(kind: Kind, rate: int = 1) -> dict[int, int]:
        return {_MESSAGE_KEYS[kind] + port: rate for port in ports}

    yield _values(MESSAGES_ON, message(Kind.NAV_PVT) | message(Kind.NAV_STATUS) | message(Kind.TIM_TP))
    for port in ports:
        yield _values(MESSAGES_ON, {_NMEA_KEYS[port]: 0}, optional=True)
    yield _values(PULSES_ON, _PULSE_KEYS)
    yield _values(MEASURES, _RATE_KEYS)
    for kind in (Kind.NAV_TIMELS, Kind.NAV_DOP, Kind.NAV_EOE, Kind.TIM_SVIN, Kind.NAV_SVIN, Kind.SEC_SIG):
        yield _values(MESSAGES_ON, message(kind), optional=True)
    for kind in (Kind.NAV_SAT, Kind.MON_RF):
        yield _values(MESSAGES_ON, message(kind, _SLOWLY), optional=True)
    yield _values(MESSAGES_ON, _INTERFERENCE_KEYS, optional=True)


def _by_messages(port: int) -> Iterator[Setting]:
    message = partial(_message, port)
    yield message(Kind.NAV_PVT, otherwise=message(Kind.NAV_TIMEUTC))
    for number in _NMEA:
        yield message(number, rate=0, optional=True)
    for kind in (Kind.NAV_STATUS, Kind.TIM_TP):
        yield message(kind)
    yield Setting(PULSES_ON, build_frame(Kind.CFG_TP5, b"\0"), Kind.CFG_TP5, _change_pulse)
    yield Setting(MEASURES, build_frame(Kind.CFG_RATE, b""), Kind.CFG_RATE, _change_rate)
    yield message(Kind.NAV_SAT, rate=_SLOWLY, optional=True, otherwise=message(Kind.NAV_SVINFO, optional=True))
    yield message(Kind.MON_HW, rate=_SLOWLY, optional=True)
    for kind in (Kind.NAV_TIMELS, Kind.NAV_DOP, Kind.NAV_EOE, Kind.TIM_SVIN, Kind.NAV_SVIN):
        yield message(kind, optional=True)
    question = build_frame(Kind.CFG_ITFM, b"")
    yield Setting(MESSAGES_ON, question, Kind.CFG_ITFM, _change_interference_monitor, optional=True)


def _placed(protocol: int, placement: Placement) -> Iterator[Setting]:
    """Timing receivers learn their position; all others that they do not move."""
    if not placement.survey_in_secs and placement.position is None:
        return
    if protocol >= KEYS_FROM_PROTOCOL:
        values = _timing_mode_values(placement)
        still = _values(STANDS, _DYNAMIC_MODEL_KEYS)
        held = (lambda found: found.get(_TMODE_KEY) == b"\x02") if placement.position is None else None
        yield _values(STANDS, values, unless=held, otherwise=still)
        return
    still = Setting(STANDS, build_frame(Kind.CFG_NAV5, b""), Kind.CFG_NAV5, _change_dynamic_model)
    base = Setting(
        STANDS, build_frame(Kind.CFG_TMODE3, b""), Kind.CFG_TMODE3, partial(_change_tmode3, placement), otherwise=still
    )
    yield Setting(
        STANDS, build_frame(Kind.CFG_TMODE2, b""), Kind.CFG_TMODE2, partial(_change_tmode2, placement), otherwise=base
    )


def _message(
    port: int, kind: int, *, rate: int = 1, optional: bool = False, otherwise: Setting | None = None
) -> Setting:
    """How often a message is sent on a port; CFG-MSG with three bytes sets it for the port that it came through."""
    name = kind.to_bytes(2, "big")

    def change(payload: bytes) -> bytes | None:
        if payload[:2] != name:
            raise WireError("the rate of another message")
        return None if payload[2 + port] == rate else build_frame(Kind.CFG_MSG, name + bytes([rate]))

    question = build_frame(Kind.CFG_MSG, name)
    return Setting(MESSAGES_ON, question, Kind.CFG_MSG, change, optional, otherwise)


def _change_rate(payload: bytes) -> bytes | None:
    wanted = struct.pack("<HH", _SECOND_MS, 1) + payload[4:]  # which clock's grid: as it is
    return None if payload == wanted else build_frame(Kind.CFG_RATE, wanted)


def _change_pulse(payload: bytes) -> bytes | None:
    """Delays and polarity belong to the antenna's cable and to the wiring: they stay as they are."""
    index, version, cable, radio, *_, delay, flags = _TP5.unpack(payload)
    if index != 0:
        raise WireError("another pulse output")
    flags = flags & ~_TP_FLAGS | _TP_WANTED
    wanted = _TP5.pack(index, version, cable, radio, _SECOND_US, _SECOND_US, 0, _PULSE_US, delay, flags)
    return None if _TP5.unpack(payload) == _TP5.unpack(wanted) else build_frame(Kind.CFG_TP5, wanted)


def _change_interference_monitor(payload: bytes) -> bytes | None:
    config, more = struct.unpack("<II", payload)
    return None if config >> 31 else build_frame(Kind.CFG_ITFM, struct.pack("<II", config | 1 << 31, more))


def _change_dynamic_model(payload: bytes) -> bytes | None:
    if payload[2] == _STATIONARY:
        return None
    return build_frame(Kind.CFG_NAV5, struct.pack("<HB", 1, _STATIONARY) + payload[3:])


def _change_tmode2(placement: Placement, payload: bytes) -> bytes | None:
    wanted: tuple[int, ...]
    if placement.position is None:
        wanted = (_SURVEY, 0, 0, 0, 0, 0, placement.survey_in_secs, round(placement.accuracy_m * 1e3))
        found = _TMODE2.unpack(payload)
        done = found[0] == _FIXED or (found[0], *found[6:]) == (wanted[0], *wanted[6:])
    else:
        place = (round(axis * 100) for axis in earth_centred(placement.position))
        wanted = (_FIXED, 0, *place, round(placement.accuracy_m * 1e3), 0, 0)
        done = _TMODE2.unpack(payload)[:6] == wanted[:6]
    return None if done else build_frame(Kind.CFG_TMODE2, _TMODE2.pack(*wanted))


def _change_tmode3(placement: Placement, payload: bytes) -> bytes | None:
    wanted: tuple[int, ...]
    found = _TMODE3.unpack(payload)
    if placement.position is None:
        wanted = (0, _SURVEY, 0, 0, 0, 0, 0, 0, 0, placement.survey_in_secs, round(placement.accuracy_m * 1e4))
        done = found[1] & 0xFF == _FIXED or (found[1], *found[9:]) == (wanted[1], *wanted[9:])
    else:
        place = (round(axis * 100) for axis in earth_centred(placement.position))
        wanted = (0, _FIXED, *place, 0, 0, 0, round(placement.accuracy_m * 1e4), 0, 0)
        done = found[1:9] == wanted[1:9]
    return None if done else build_frame(Kind.CFG_TMODE3, _TMODE3.pack(*wanted))


def _timing_mode_values(placement: Placement) -> dict[int, int]:
    accuracy = round(placement.accuracy_m * 1e4)
    if placement.position is None:
        return {_TMODE_KEY: _SURVEY, 0x40030010: placement.survey_in_secs, 0x40030011: accuracy}
    x, y, z = (round(axis * 100) for axis in earth_centred(placement.position))
    exact = {0x20030006: 0, 0x20030007: 0, 0x20030008: 0}
    place = {0x20030002: 0, 0x40030003: x, 0x40030004: y, 0x40030005: z}
    return {_TMODE_KEY: _FIXED, **place, **exact, 0x4003000F: accuracy}


def _values(
    purpose: str,
    wanted: Mapping[int, int],
    *,
    optional: bool = False,
    otherwise: Setting | None = None,
    unless: Callable[[Mapping[int, bytes]], bool] | None = None,
) -> Setting:
    """Values by their keys; where `unless` likes what it finds, all stays as it is."""
    values = {key: value.to_bytes(_size(key), "little", signed=value < 0) for key, value in wanted.items()}

    def change(payload: bytes) -> bytes | None:
        found = parse_values(payload[4:])
        if found.keys() != values.keys():
            raise WireError("the values of other keys")
        if found == values or (unless and unless(found)):
            return None
        return build_frame(Kind.CFG_VALSET, b"\0\x01\0\0" + build_values(values))

    question = build_frame(Kind.CFG_VALGET, bytes(4) + _packed(values))
    return Setting(purpose, question, Kind.CFG_VALGET, change, optional, otherwise)


def build_values(values: Mapping[int, bytes]) -> bytes:
    """Keys and values as CFG-VALSET and CFG-VALGET carry them."""
    return b"".join(key.to_bytes(4, "little") + value for key, value in values.items())


def parse_values(data: bytes) -> dict[int, bytes]:
    """The inverse; raises WireError for what is cut off, or has a key without a size."""
    values, position = {}, 0
    while position < len(data):
        key = int.from_bytes(data[position : position + 4], "little")
        start, position = position + 4, position + 4 + _size(key)
        if position > len(data):
            raise WireError(f"the value of key {key:#010x} is cut off")
        values[key] = data[start:position]
    return values


def _packed(keys: Iterable[int]) -> bytes:
    return b"".join(key.to_bytes(4, "little") for key in keys)


def _size(key: int) -> int:
    if (size := _KEY_SIZES.get(key >> 28)) is None:
        raise WireError(f"key {key:#010x} tells no size")
    return size


def earth_centred(position: Position) -> tuple[float, float, float]:
    """X, Y and Z in metres of a place on the WGS 84 ellipsoid: what all generations understand."""
    axis, eccentricity_squared = 6_378_137.0, 6.694_379_990_141e-3
    latitude, longitude = math.radians(position.latitude_deg), math.radians(position.longitude_deg)
    curvature = axis / math.sqrt(1 - eccentricity_squared * math.sin(latitude) ** 2)
    across = (curvature + position.height_m) * math.cos(latitude)
    up = (curvature * (1 - eccentricity_squared) + position.height_m) * math.sin(latitude)
    return across * math.cos(longitude), across * math.sin(longitude), up
