"""A Motorola Oncore that listens: an M12+T with 12 channels, or a UT+ with 8."""

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.receivers.oncore_framing import LENGTHS, Kind, build_message
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky

GPS_AHEAD_SECONDS = 18

_PLACE = (185_320_440, -5_292, 9_240)  # Greenwich: milliseconds of arc, centimetres
_FRACTION_NS = 353_244
_UNUSED_IN_VIEW = 3
_PS_PER_NS = 1000
_NAVIGATING, _HOLDING, _ACQUIRING = 0b111, 0b100, 0b011
_MODELS = {8: "R5122U1115", 12: "P283T12T11"}


class Oncore:
    """Comes without a memory: silent, on GPS time, and not knowing where it is."""

    def __init__(self, sawtooth: Sawtooth, channels: int = 12) -> None:
        self._sawtooth = sawtooth
        self._twelve = channels == 12
        self._place = Kind.POSITION_12 if self._twelve else Kind.POSITION_8
        self._raim = Kind.RAIM_12 if self._twelve else Kind.RAIM_8
        self._hold = Kind.HOLD_12 if self._twelve else Kind.HOLD
        self._rates: dict[str, int] = {self._place: 0, self._raim: 0}
        self.settings: dict[str, bytes] = {
            Kind.TIME_MODE: b"\x00",
            Kind.CABLE_DELAY: bytes(4),
            Kind.MASK_ANGLE: b"\x00",
            Kind.HOLD_POSITION: bytes(13),
            self._hold: b"\x00",
            **({Kind.RAIM_ON_12: b"\x00"} if self._twelve else {}),
        }
        self._heard = b""

    def say(self, second: WallNs, sky: Sky) -> bytes:
        """What was asked for each second, and by how much the next pulse will miss."""
        utc, held = self.settings[Kind.TIME_MODE] == b"\x01", self.settings[self._hold] == b"\x01"
        build: Callable[..., bytes] = build_position_12 if self._twelve else build_position_8
        position = build(second, sky, held=held, utc=utc) if self._rates[self._place] else b""
        following = WallNs(second + NS_PER_SECOND)
        late_ns = round(self._sawtooth.error_ps(following) / _PS_PER_NS)
        return position + (build_raim(self._raim, -late_ns) if self._rates[self._raim] else b"")

    def hear(self, data: bytes) -> bytes:
        """The answers to all commands that are known; others are passed over."""
        *lines, self._heard = (self._heard + data).split(b"\r\n@@")
        if self._heard.endswith(b"\r\n"):
            lines, self._heard = [*lines, self._heard[:-2]], b""
        return b"".join(self._obey(line.removeprefix(b"@@")[:-1]) for line in lines)

    def _obey(self, command: bytes) -> bytes:
        kind, data = command[:2].decode("ascii", "replace"), command[2:]
        if kind in self._rates and data:
            self._rates[kind] = data[0]
            return b""
        if kind in self.settings:
            is_refused = kind == Kind.HOLD_POSITION and self.settings[self._hold] == b"\x01"
            if len(data) == len(self.settings[kind]) and data[0] != 0xFF and not is_refused:
                self.settings[kind] = data
            return build_message(kind, self.settings[kind])
        return self._tell(kind)

    def _tell(self, kind: str) -> bytes:
        if kind == Kind.RECEIVER_ID:
            return build_identity(_MODELS[12 if self._twelve else 8])
        if kind == Kind.LEAP_DATE and self._twelve:
            return build_leap_date()
        if kind == Kind.UTC_OFFSET and not self._twelve:
            is_utc = self.settings[Kind.TIME_MODE] == b"\x01"
            return build_message(kind, bytes([GPS_AHEAD_SECONDS if is_utc else 0]))
        if kind == Kind.LEAP_PENDING and not self._twelve:
            return build_message(kind, b"\x00")
        return b""


def build_position_12(
    second: WallNs, sky: Sky, *, held: bool = False, utc: bool = True, status: int = 1, known: bool = True
) -> bytes:
    """@@Ha; `status` has the lower bits, with the antenna's two at place 1."""
    state = (_HOLDING if held else _NAVIGATING) if sky.used else _ACQUIRING
    dop = 0 if held or not sky.used else round(180 / sky.used)
    view = bytes(6) + struct.pack(">HBB", dop, _in_view(sky), sky.used)
    channels = b"".join(
        struct.pack(">BBBBH", 1 + number, 8, 45, 7, 0x08A0 if number < sky.used else 0) for number in range(12)
    )
    scale = utc << 7 | known << 6 | (GPS_AHEAD_SECONDS if known else 0)
    end = struct.pack(">HHhIHBBBB6s", state << 13 | status, 0, -8, 100_000, 0, scale, 0, 0, 0, b"GRNWCH")
    start = _time(second, utc=utc) + 2 * _position()
    return build_message(Kind.POSITION_12, start + view + channels + end)


def build_position_8(
    second: WallNs, sky: Sky, *, held: bool = False, utc: bool = True, status: int = 0, antenna: int = 0
) -> bytes:
    """@@Ea; to `status` comes the kind of fix."""
    fix = (8 if held else 32) if sky.used else 8 | 2
    dop = 0 if held or not sky.used else round(180 / sky.used)
    view = bytes(4) + struct.pack(">HBBB", dop, antenna << 6, _in_view(sky), min(sky.used, 8))
    channels = b"".join(struct.pack(">BBBB", 1 + n, 8, 120, 0xA0 if n < sky.used else 0) for n in range(8))
    start = _time(second, utc=utc) + _position()
    return build_message(Kind.POSITION_8, start + view + channels + bytes([fix | status]))


def build_raim(kind: Kind, negative_sawtooth_ns: int, *, pulsing: bool = True, solution: int = 0) -> bytes:
    """@@En or @@Hn of the next pulse; `solution` 0 within the limit, 1 alarm, 2 unknown."""
    setup = b"" if kind is Kind.RAIM_12 else struct.pack(">BBHB10x", 1, 1, 10, 1)
    removed = bytes(4) if kind is Kind.RAIM_12 else b""
    start = setup + struct.pack(">BBBB", pulsing, 0, solution, 0) + removed
    data = start + struct.pack(">Hb", 25, negative_sawtooth_ns)
    return build_message(kind, data.ljust(LENGTHS[kind] - 7, b"\x00"))


def build_leap_date(
    change: int = 0, day: tuple[int, int, int] = (2016, 12, 31), present: int = GPS_AHEAD_SECONDS
) -> bytes:
    """@@Gj: the next leap second, or the latest one."""
    data = struct.pack(">BBHBBBIBBB", present, present + change, *day, present, 0, 23, 59, 60)
    return build_message(Kind.LEAP_DATE, data)


def build_identity(model: str) -> bytes:
    """@@Cj: lines of 26 characters with their ends."""
    lines = ("COPYRIGHT 1991-2002", "SFTW P/N #   61-G10268A", "SOFTWARE VER #  2", f"MODEL #    {model}")
    text = "\r\n" + "".join(f"{line:24}\r\n" for line in lines)
    return build_message(Kind.RECEIVER_ID, text.encode("ascii").ljust(LENGTHS[Kind.RECEIVER_ID] - 7))


def _in_view(sky: Sky) -> int:
    return min(sky.used + _UNUSED_IN_VIEW, 12)


def _time(second: WallNs, *, utc: bool) -> bytes:
    ahead = 0 if utc else GPS_AHEAD_SECONDS
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second // NS_PER_SECOND + ahead)
    clock = (now.hour, now.minute, now.second, _FRACTION_NS)
    return struct.pack(">BBHBBBI", now.month, now.day, now.year, *clock)


def _position() -> bytes:
    return struct.pack(">iii4x", *_PLACE)
