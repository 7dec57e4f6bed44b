"""The satellites that a receiver sees, for people who place antennas."""

import re
import struct
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


_NAV_SAT_HEADER = 8
_NAV_SAT = struct.Struct("<BBBbh6x")
_UBX_SYSTEMS = {0: "GPS", 1: "SBAS", 2: "Galileo", 3: "BeiDou", 4: "IMES", 5: "QZSS", 6: "GLONASS", 7: "NavIC"}
_NOT_LOCATED = 91
"""Elevations go to 90; what has none is given as this or more."""


@dataclass(frozen=True, slots=True)
class Satellite:
    """One of GSV (NMEA 0183) or NAV-SAT (UBX): degrees above the horizon and clockwise from north, where known."""

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


def parse_nav_sat(payload: bytes) -> list[Satellite]:
    """The satellites of a UBX-NAV-SAT (u-blox M8 receiver description, 32.17.15), as far as it goes."""
    whole = (len(payload) - _NAV_SAT_HEADER) // _NAV_SAT.size * _NAV_SAT.size
    satellites = _NAV_SAT.iter_unpack(payload[_NAV_SAT_HEADER : _NAV_SAT_HEADER + max(0, whole)])
    return [
        Satellite(
            _UBX_SYSTEMS[system],
            number,
            elevation if abs(elevation) < _NOT_LOCATED else None,
            azimuth if abs(elevation) < _NOT_LOCATED else None,
            signal or None,
        )
        for system, number, signal, elevation, azimuth in satellites
        if system in _UBX_SYSTEMS
    ]


def _known(digits: bytes) -> int | None:
    return int(digits) if digits.strip(b"-") else None
