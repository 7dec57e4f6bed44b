"""The same receiver in u-blox's binary protocol: what it says each second, frame by frame."""

import struct
from datetime import UTC, datetime, timedelta

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame
from ntp_usg.simulate.sentences import Sky

GPS_AHEAD_SECONDS = 18
"""Leap seconds between GPS time and UTC, since 2017."""

_GPS_EPOCH = 315_964_800
_WEEK = 7 * 86_400
_LONGITUDE, _LATITUDE = -14_700, 514_779_000  # 1e-7 degrees: Greenwich
_HEIGHT, _ABOVE_SEA = 92_400, 46_900  # millimetres
_UNUSED_IN_VIEW = 3
_FIXES = {
    # Type of fix; flags: fix is good, differential, and the state of the carrier phase in the two highest bits.
    FixQuality.GPS: (3, 0b0000_0001),
    FixQuality.PPS: (3, 0b0000_0001),
    FixQuality.DGPS: (3, 0b0000_0011),
    FixQuality.FLOAT_RTK: (3, 0b0100_0011),
    FixQuality.RTK: (3, 0b1000_0011),
    FixQuality.ESTIMATED: (1, 0b0000_0001),
}


def build_ubx_burst(second: WallNs, sky: Sky) -> bytes:
    """All frames of one second, in the order of their numbers."""
    return b"".join(
        (
            build_status(second, sky),
            build_pvt(second, sky),
            build_timeutc(second),
            build_timels(second),
            build_satellites(second, sky),
            build_radio(),
            build_pulse(WallNs(second + NS_PER_SECOND)),
        )
    )


def build_status(second: WallNs, sky: Sky, *, spoofing: int = 1) -> bytes:
    """NAV-STATUS; `spoofing` 1 none, 2 suspected, 3 for several reasons."""
    fix_type, flags = _fix(sky)
    payload = struct.pack("<IBBBBII", _itow(second), fix_type, flags & 3 | 0b1100, 0, spoofing << 3, 26_000, 600_000)
    return build_frame(Kind.NAV_STATUS, payload)


def build_pvt(second: WallNs, sky: Sky, *, nano: int = -345, valid: int = 0b111, fixed: bool = False) -> bytes:
    """NAV-PVT, with the second where the receiver's own tick fell `nano` beside it; `fixed` knows where it is."""
    fix_type, flags = _fix(sky)
    fix_type = 5 if fixed and fix_type == 3 else fix_type
    start = struct.pack("<I", _itow(second)) + _civil(second) + struct.pack("<BIi", valid, 25, nano)
    position = (_LONGITUDE, _LATITUDE, _HEIGHT, _ABOVE_SEA) if sky.used else (0, 0, 0, 0)
    fix = struct.pack("<BBBB4iII", fix_type, flags, 0b1110_0000, sky.used, *position, 1_500, 2_100)
    dilution = round(900 / sky.used) if sky.used else 9_999
    motion = struct.pack("<5iIIHHIihH", 3, -4, 2, 5, 0, 60, 18_000_000, dilution, 0, 0, 0, 0, 0)
    return build_frame(Kind.NAV_PVT, start + fix + motion)


def build_timeutc(second: WallNs, *, nano: int = -345, valid: int = 0b0011_0111) -> bytes:
    """NAV-TIMEUTC; the highest bits of `valid` name the laboratory, here the US Naval Observatory."""
    payload = struct.pack("<IIi", _itow(second), 25, nano) + _civil(second) + bytes([valid])
    return build_frame(Kind.NAV_TIMEUTC, payload)


def build_timels(second: WallNs, *, change: int = 0, event_in: int = 0) -> bytes:
    """NAV-TIMELS, as GPS announces a leap second `event_in` seconds ahead."""
    counts = struct.pack("<BbBbi", 2, GPS_AHEAD_SECONDS, 2, change, event_in)
    payload = struct.pack("<IB3x", _itow(second), 0) + counts + struct.pack("<HH3xB", 0, 0, 0b11)
    return build_frame(Kind.NAV_TIMELS, payload)


def build_satellites(second: WallNs, sky: Sky) -> bytes:
    """NAV-SAT: those used, and some that are only seen."""
    count = sky.used + _UNUSED_IN_VIEW
    satellites = b"".join(
        struct.pack("<BBBbhhI", 0, 1 + number, 40, 45, 90, 0, 0b0100 | (number < sky.used) << 3)
        for number in range(count)
    )
    return build_frame(Kind.NAV_SAT, struct.pack("<IBB2x", _itow(second), 1, count) + satellites)


def build_svinfo(second: WallNs, sky: Sky) -> bytes:
    """NAV-SVINFO, which NAV-SAT has replaced: the same satellites, one a channel."""
    count = sky.used + _UNUSED_IN_VIEW
    satellites = b"".join(
        struct.pack("<BBBBBbhi", number, 1 + number, 0b1100 | (number < sky.used), 7, 40, 45, 90, 0)
        for number in range(count)
    )
    return build_frame(Kind.NAV_SVINFO, struct.pack("<IBB2x", _itow(second), count, 2) + satellites)


def build_dop(second: WallNs, sky: Sky) -> bytes:
    """NAV-DOP."""
    hundredth = round(900 / sky.used) if sky.used else 9_999
    return build_frame(Kind.NAV_DOP, struct.pack("<I7H", _itow(second), *[hundredth] * 7))


def build_eoe(second: WallNs) -> bytes:
    """NAV-EOE, the end of the epoch."""
    return build_frame(Kind.NAV_EOE, struct.pack("<I", _itow(second)))


def build_tim_svin(duration: int, accuracy_m: float, *, running: bool) -> bytes:
    """TIM-SVIN: a survey that is going on, or has come to its end."""
    variance = round((accuracy_m * 1_000) ** 2)
    return build_frame(
        Kind.TIM_SVIN, struct.pack("<I3iIIBB2x", duration, 0, 0, 0, variance, duration, not running, running)
    )


def build_nav_svin(second: WallNs, duration: int, accuracy_m: float, *, running: bool) -> bytes:
    """NAV-SVIN, the same of a base station."""
    accuracy = round(accuracy_m * 10_000)
    place = struct.pack("<3i3bx", 0, 0, 0, 0, 0, 0)
    head = struct.pack("<B3xII", 0, _itow(second), duration)
    return build_frame(Kind.NAV_SVIN, head + place + struct.pack("<IIBB2x", accuracy, duration, not running, running))


def build_hw(antenna: int = 2, jamming: int = 1) -> bytes:
    """MON-HW, in the numbers of MON-RF."""
    return build_frame(Kind.MON_HW, struct.pack("<16xHHBBB37x", 90, 4_000, antenna, 1, jamming << 2))


def build_security(jamming: int = 1, spoofing: int = 1, *, version: int = 2) -> bytes:
    """SEC-SIG; 1 none, 2 suspected, 3 critical or affirmed."""
    jammed, forged = 1 | jamming << 1, 1 | spoofing << 1
    if version == 1:
        return build_frame(Kind.SEC_SIG, struct.pack("<B3xB3xB3x", 1, jammed, forged))
    return build_frame(Kind.SEC_SIG, struct.pack("<BBxBI", 2, jammed | forged << 3, 1, 1_575_420))


def build_radio(*bands: tuple[int, int]) -> bytes:
    """MON-RF; each band an antenna's state (2 fine, 3 shorted, 4 open) and the jamming's (1 none, 2 some, 3 no fix)."""
    blocks = [
        struct.pack("<BBBBI4xHHBbBbB3x", number, jamming, antenna, 1, 0, 90, 4_000, 10, 0, 120, 0, 120)
        for number, (antenna, jamming) in enumerate(bands or [(2, 1)])
    ]
    return build_frame(Kind.MON_RF, struct.pack("<BB2x", 0, len(blocks)) + b"".join(blocks))


def build_pulse(second: WallNs, correction_ps: int = 0, *, utc: bool = True) -> bytes:
    """TIM-TP of the pulse that marks `second`, on the grid of UTC or of GPS time."""
    since = second // NS_PER_SECOND - _GPS_EPOCH + (0 if utc else GPS_AHEAD_SECONDS)
    week, time_of_week = divmod(since, _WEEK)
    payload = struct.pack("<IIiHBB", time_of_week * 1_000, 0, correction_ps, week, 0b1011 if utc else 0b1010, 0)
    return build_frame(Kind.TIM_TP, payload)


def _fix(sky: Sky) -> tuple[int, int]:
    guessing = sky.quality is FixQuality.ESTIMATED
    return _FIXES.get(sky.quality, (0, 0)) if sky.used or guessing else (0, 0)


def _itow(second: WallNs) -> int:
    """Milliseconds of the GPS week."""
    return (second // 1_000_000 - (_GPS_EPOCH - GPS_AHEAD_SECONDS) * 1_000) % (_WEEK * 1_000)


def _civil(second: WallNs) -> bytes:
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second // NS_PER_SECOND)
    return struct.pack("<H5B", now.year, now.month, now.day, now.hour, now.minute, now.second)
