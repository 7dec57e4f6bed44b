"""Trimble receivers in TSIP: a ThunderBolt E that listens, and what a Palisade or Acutime says."""

import math
import struct
from datetime import UTC, datetime, timedelta

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.receivers.tsip_framing import Kind, TsipFramer, TsipPacket, build_packet
from ntp_usg.core.receivers.tsip_setup import BROADCAST_MASK, REQUEST_SATELLITES, UTC_MODE
from ntp_usg.simulate.sentences import Sky

GPS_AHEAD_SECONDS = 18

_GPS_EPOCH = 315_964_800
_WEEK = 7 * 86_400
_LATITUDE, _LONGITUDE, _HEIGHT = math.radians(51.4779), math.radians(-0.00147), 92.4  # Greenwich
_OVERDETERMINED_CLOCK = 7
_AUTO_HOLDOVER = 2
_NO_SATELLITES = 8
_NOT_TRACKING = 1 << 3
_COMMANDS = {UTC_MODE: Kind.UTC_MODE, BROADCAST_MASK: Kind.BROADCAST_MASK}


class Thunderbolt:
    """Comes as another program may have left it: silent, and on GPS time."""

    def __init__(self) -> None:
        self._set = {UTC_MODE: b"\x00", BROADCAST_MASK: bytes(4)}
        self._framer = TsipFramer()
        self._sky = Sky()
        self._holdover = 0

    def say(self, second: WallNs, sky: Sky) -> bytes:
        """What the mask has switched on."""
        self._sky, self._holdover = sky, 0 if sky.used else self._holdover + 1
        mask = int.from_bytes(self._set[BROADCAST_MASK][:2], "big")
        primary = build_primary(second, utc=self._set[UTC_MODE] == b"\x03") if mask & 1 else b""
        return primary + (build_supplemental(sky, holdover=self._holdover) if mask & 4 else b"")

    def hear(self, data: bytes) -> bytes:
        """The answers to all commands that are known."""
        return b"".join(map(self._obey, self._framer.feed(data, HostNs(0))))

    def _obey(self, command: TsipPacket) -> bytes:
        if command.kind == REQUEST_SATELLITES:
            return build_satellites(self._sky)
        if command.kind not in _COMMANDS:
            return b""
        if len(command.data) == len(self._set[command.kind]):
            self._set[command.kind] = command.data
        return build_packet(_COMMANDS[command.kind], self._set[command.kind])


def build_primary(second: WallNs, *, utc: bool = True, flags: int = 0, weeks_lost: int = 0) -> bytes:
    """8F-AB of the pulse that began `second`; a receiver may have lost count of the weeks."""
    since = second // NS_PER_SECOND - _GPS_EPOCH + GPS_AHEAD_SECONDS - weeks_lost * _WEEK
    week, time_of_week = divmod(since, _WEEK)
    now = _civil(_GPS_EPOCH + since - (GPS_AHEAD_SECONDS if utc else 0))
    start = struct.pack(">IHhB", time_of_week, week, GPS_AHEAD_SECONDS, flags | 3 * utc)
    return build_packet(Kind.PRIMARY_TIMING, start + _clock(now) + _calendar(now))


def build_supplemental(
    sky: Sky,
    *,
    mode: int = _OVERDETERMINED_CLOCK,
    discipline: int | None = None,
    survey: int = 100,
    holdover: int = 0,
    critical: int = 0,
    minor: int = 0,
) -> bytes:
    """8F-AC; without satellites the oscillator goes on by itself."""
    if not sky.used:
        minor |= _NOT_TRACKING
    state = (_AUTO_HOLDOVER if not sky.used else 0) if discipline is None else discipline
    status = struct.pack(">BBBIHH", mode, state, survey, holdover, critical, minor)
    decoding = struct.pack(">BBBB", 0 if sky.used else _NO_SATELLITES, 0, 0, 0)
    oscillator = struct.pack(">ffIff", -3.2, 0.05, 537_000, 0.35, 41.5)
    return build_packet(Kind.SUPPLEMENTAL_TIMING, status + decoding + oscillator + _place() + bytes(8))


def build_satellites(sky: Sky, *, rejected: int = 0) -> bytes:
    """6D, the answer to 24; some of the satellites may be left out by T-RAIM."""
    count = min(sky.used + rejected, 15)
    dilution = 9 / sky.used if sky.used else 0.0
    numbers = struct.pack(f">{count}b", *(1 + number if number >= rejected else -1 - number for number in range(count)))
    head = struct.pack(">Bffff", count << 4 | 0b1101, 2 * dilution, dilution, 1.5 * dilution, dilution)
    return build_packet(Kind.SATELLITES, head + numbers)


def build_tracked_satellites(sky: Sky) -> bytes:
    """6C, the same of a Resolution SMT 360."""
    numbers = bytes(1 + number for number in range(sky.used))
    return build_packet(Kind.TRACKED_SATELLITES, struct.pack(">BffffB", 0b1101, 1.8, 0.9, 1.5, 1.0, sky.used) + numbers)


def build_palisade_burst(second: WallNs, sky: Sky) -> bytes:
    """What follows a pulse of a Palisade or Acutime."""
    return build_utc_time(second, sky) + build_comprehensive(second, sky)


def build_utc_time(
    second: WallNs, sky: Sky, *, event: int = 0, fraction: float = 0.0, tracking: int = 0, flags: int = 1
) -> bytes:
    """8F-AD; `flags` 1 UTC is known, 2 a leap second is less than a day ahead, 8 it is now."""
    now = _civil(second // NS_PER_SECOND)
    status = tracking if sky.used else 7
    clock = struct.pack(">BBB", now.hour, now.minute, now.second) + _calendar(now)
    data = struct.pack(">Hd", event, fraction) + clock + struct.pack(">BBBB", status, flags, 0xFF, 0xFF)
    return build_packet(Kind.UTC_TIME, data)


def build_comprehensive(second: WallNs, sky: Sky, *, event: int = 0, gps_ahead: int = GPS_AHEAD_SECONDS) -> bytes:
    """8F-0B; it has room for eight satellites."""
    unix = second // NS_PER_SECOND
    now = _civil(unix)
    date_and_mode = _calendar(now) + struct.pack(">Bh", 6, gps_ahead)
    time = struct.pack(">Hd", event, (unix - _GPS_EPOCH) % _WEEK) + date_and_mode
    oscillator = struct.pack(">ddff", 12.0, 0.5, 3.0, 0.1)
    used = min(sky.used, 8)
    satellites = [*range(1, 1 + used), *(-number for number in range(20, 28 - used))]
    return build_packet(Kind.COMPREHENSIVE_TIME, time + oscillator + _place() + struct.pack(">8b", *satellites))


def _place() -> bytes:
    return struct.pack(">ddd", _LATITUDE, _LONGITUDE, _HEIGHT)


def _civil(unix: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=unix)


def _clock(now: datetime) -> bytes:
    return struct.pack(">BBB", now.second, now.minute, now.hour)


def _calendar(now: datetime) -> bytes:
    return struct.pack(">BBH", now.day, now.month, now.year)
