"""What a u-blox-like receiver says each second, at the Royal Observatory in Greenwich."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.receivers.nmea_sentences import build_sentence

_POSITION = "5128.67400,N,00000.08820,W"
_NOWHERE = ",,,"
_UNUSED_IN_VIEW = 3
_RMC_MODES = {
    FixQuality.NO_FIX: "N",
    FixQuality.GPS: "A",
    FixQuality.DGPS: "D",
    FixQuality.PPS: "P",
    FixQuality.RTK: "R",
    FixQuality.FLOAT_RTK: "F",
    FixQuality.ESTIMATED: "E",
    FixQuality.MANUAL: "M",
    FixQuality.SIMULATION: "S",
}


Antenna = Literal["fine", "shorted", "open"]
ANTENNAS: tuple[Antenna, ...] = get_args(Antenna)


@dataclass(slots=True)
class Sky:
    """What the antenna sees; may be changed at any time."""

    satellites: int = 9
    """Used for the fix, when there is one."""
    quality: FixQuality = FixQuality.GPS
    antenna: Antenna = "fine"
    jammed: bool = False
    forged: bool = False
    """Whether the receiver suspects that the signals are; it tells the time all the same."""

    @property
    def used(self) -> int:
        return self.satellites if self.quality.rank else 0


def build_burst(second: WallNs, sky: Sky) -> bytes:
    """All sentences of one second, in the order of a u-blox receiver: RMC, GGA, GSA, GSV, GLL, ZDA."""
    now = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second // NS_PER_SECOND)
    time = f"{now:%H%M%S}.00"
    has_fix = sky.used > 0
    position = _POSITION if has_fix else _NOWHERE
    hdop = f"{6 / sky.used:.2f}" if has_fix else "99.99"
    motion = "0.012," if has_fix else ","
    height = "46.9,M,45.5,M" if has_fix else ",,,"
    status, mode = ("A" if has_fix else "V"), _RMC_MODES[sky.quality]
    bodies = [
        f"GNRMC,{time},{status},{position},{motion},{now:%d%m%y},,,{mode},V",
        f"GNGGA,{time},{position},{sky.quality.value},{sky.used:02d},{hdop},{height},,",
        _satellites_used(sky.used, hdop),
        *_satellites_in_view(sky.used, now),
        f"GNGLL,{position},{time},{status},{mode}",
        f"GNZDA,{time},{now:%d,%m,%Y},00,00",
    ]
    return b"".join(build_sentence(body) for body in bodies)


def _number(satellite: int) -> str:
    return f"{1 + satellite * 5 % 32:02d}"


def _satellites_used(used: int, hdop: str) -> str:
    numbers = [_number(satellite) for satellite in range(used)] + [""] * 12
    return f"GNGSA,A,{3 if used else 1},{','.join(numbers[:12])},{hdop},{hdop},{hdop},1"


def _satellites_in_view(used: int, now: datetime) -> list[str]:
    satellites = range(used + _UNUSED_IN_VIEW)
    groups = [satellites[first : first + 4] for first in range(0, len(satellites), 4)]
    described = ["".join(_describe(satellite, used, now) for satellite in group) for group in groups]
    return [
        f"GPGSV,{len(groups)},{number},{len(satellites):02d}{text},1" for number, text in enumerate(described, start=1)
    ]


def _describe(satellite: int, used: int, now: datetime) -> str:
    elevation = 5 + satellite * 17 % 80
    azimuth = (satellite * 47 + now.hour * 15 + now.minute // 4) % 360
    signal = f"{25 + elevation // 4:02d}" if satellite < used else ""
    return f",{_number(satellite)},{elevation:02d},{azimuth:03d},{signal}"
