"""A Meinberg radio clock: its telegrams byte for byte, in each of the formats that can be set."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.simulate.sentences import Sky

GPS_AHEAD_SECONDS = 18

_STX, _ETX = "\x02", "\x03"
_PLACE = " 51.9828N   9.2258E  176m"  # Bad Pyrmont


def build_standard(
    second: WallNs, sky: Sky, *, zone_hours: int = 0, daylight_saving: bool = False, checked: bool = True, y: str = " "
) -> bytes:
    """Meinberg Standard Time String, in UTC, or in local time where `zone_hours` of standard time are given.

    `y` is what is announced: `!` for the other half of the year, `A` for a leap second.
    """
    now = _civil(second, zone_hours + daylight_saving)
    zone = "S" if daylight_saving else " " if zone_hours else "U"
    return _framed(f"D:{_date(now)};T:{now.isoweekday()};U:{now:%H.%M.%S};{_status(sky, checked=checked)}{zone}{y}")


def build_gps(second: WallNs, sky: Sky) -> bytes:
    """Meinberg GPS Time String: GPS time, and by how much that is ahead of UTC."""
    now = _civil(WallNs(second + GPS_AHEAD_SECONDS * NS_PER_SECOND))
    status = _status(sky, checked=True)
    return _framed(f"D:{_date(now)};T:{now.isoweekday()};U:{now:%H.%M.%S};{status}G ;{GPS_AHEAD_SECONDS:03d}")


def build_erlangen(second: WallNs, sky: Sky, *, utc_offset_minutes: int = 0, checked: bool = True) -> bytes:
    """Uni Erlangen (NTP) of a GPS clock, with its place."""
    now = _civil(second, utc_offset_minutes / 60)
    hours, minutes = divmod(abs(utc_offset_minutes), 60)
    offset = f"{'-' if utc_offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}"
    return _framed(f"{_start(now)} {offset}; {_status(sky, checked=checked)}     ;{_PLACE}")


def build_erlangen_pzf(second: WallNs, sky: Sky, *, checked: bool = True) -> bytes:
    """Uni Erlangen of a DCF77 clock of the PZF5xx family, in Central European Time."""
    return _framed(f"{_start(_civil(second, 1))}  {_status(sky, checked=checked)}    ")


def build_capture(second: WallNs) -> bytes:
    """Capture string: when an input of the clock saw an edge."""
    return f"CH0 {_civil(second):%d.%m.%y %H:%M:%S}.1234567\r\n".encode("ascii")


def with_even_parity(data: bytes) -> bytes:
    """As 7E2 comes out of a line that is read as 8N1."""
    return bytes(byte | (byte.bit_count() % 2) << 7 for byte in data)


FORMATS: dict[str, Callable[[WallNs, Sky], bytes]] = {
    "meinberg": build_standard,
    "meinberg-gps": build_gps,
    "meinberg-erlangen": build_erlangen,
    "meinberg-pzf": build_erlangen_pzf,
}
"""What one may ask of the simulated receiver."""


def _framed(text: str) -> bytes:
    return f"{_STX}{text}{_ETX}".encode("ascii")


def _civil(second: WallNs, hours_ahead: float = 0) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second // NS_PER_SECOND, hours=hours_ahead)


def _date(now: datetime) -> str:
    return f"{now:%d.%m.%y}"


def _start(now: datetime) -> str:
    return f"{_date(now)}; {now.isoweekday()}; {now:%H:%M:%S};"


def _status(sky: Sky, *, checked: bool) -> str:
    return f"{' ' if sky.used else '#'}{' ' if checked else '*'}"
