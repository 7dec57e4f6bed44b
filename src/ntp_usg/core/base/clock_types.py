"""What the protocol calls our reference clocks: driver numbers of ntpd, and the pseudo addresses made of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockType:
    """How mode 6 and reference identifiers name one driver."""

    number: int
    """The driver number of ntpd, from which classic ntpq makes a name; above 50 where ntpd has no such driver."""
    source_code: int
    """Clock source in the system status word (RFC 9327 section 3.1): 1 pulses, 4 UHF radio (GPS), 5 local clock."""


_PULSES, _RADIO, _LOCAL, _UNSPECIFIED = 1, 4, 5, 0

CLOCK_TYPES = {
    "local": ClockType(1, _LOCAL),
    "meinberg": ClockType(8, _RADIO),
    "nmea": ClockType(20, _RADIO),
    "pps": ClockType(22, _PULSES),
    "atomic": ClockType(22, _PULSES),
    "shm": ClockType(28, _RADIO),
    "tsip": ClockType(29, _RADIO),
    "oncore": ClockType(30, _RADIO),
    "gpsd": ClockType(46, _RADIO),
    "ubx": ClockType(51, _RADIO),
    "sock": ClockType(52, _RADIO),
    "phc": ClockType(53, _UNSPECIFIED),
    "rtc": ClockType(54, _LOCAL),
    "replay": ClockType(55, _UNSPECIFIED),
    "simulated": ClockType(56, _UNSPECIFIED),
}
"""By `SourceSettings.driver`."""
OTHER_CLOCK = ClockType(63, _UNSPECIFIED)
"""Drivers that others have written."""


def clock_type(driver: str) -> ClockType:
    """The type of a driver, ours or anybody's."""
    return CLOCK_TYPES.get(driver, OTHER_CLOCK)


def pseudo_address(driver: str, unit: int) -> bytes:
    """The packed address that stands for a reference clock where the protocol wants one: 127.127.20.0."""
    return bytes((127, 127, clock_type(driver).number, unit))
