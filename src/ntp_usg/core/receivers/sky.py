"""The satellites that a receiver sees, for people who place antennas."""

import re
from dataclasses import dataclass

_SATELLITE = rb",(\d{1,3}),(-?\d{0,2}),(\d{0,3}),(\d{0,2})"
_GSV = re.compile(rb"\$(..)GSV,\d{1,2},\d{1,2},\d{0,3}((?:%s){1,4})(?:,[0-9A-F])?\*.." % _SATELLITE)

_SYSTEMS = {
    b"GP": "GPS",
    b"GL": "GLONASS",
    b"GA": "Galileo",
    b"GB": "BeiDou",
    b"BD": "BeiDou",
    b"GQ": "QZSS",
    b"QZ": "QZSS",
    b"PQ": "QZSS",
    b"GI": "NavIC",
}


@dataclass(frozen=True, slots=True)
class Satellite:
    """One of GSV (NMEA 0183): degrees above the horizon and clockwise from north, None where not known."""

    system: str
    number: int
    elevation: int | None
    azimuth: int | None
    signal: int | None
    """C/N0 in dB-Hz: below 25 is poor, above 40 good. None where it is not received."""


def parse_satellites(line: bytes) -> list[Satellite]:
    """The satellites that a line with a right checksum names: none, where it is no GSV sentence."""
    sentence = _GSV.fullmatch(line)
    if sentence is None or sentence[1] not in _SYSTEMS:
        return []
    return [
        Satellite(_SYSTEMS[sentence[1]], int(number), _known(elevation), _known(azimuth), _known(signal))
        for number, elevation, azimuth, signal in re.findall(_SATELLITE, sentence[2])
    ]


def _known(digits: bytes) -> int | None:
    return int(digits) if digits.strip(b"-") else None
