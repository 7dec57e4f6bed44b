"""The 48-byte header that every NTP packet since version 1 begins with (RFC 5905 section 7.3).

RFC 1059 (version 1), 1119 (2) and 1305 (3) have the same layout. Two names differ: version 1 leaves the mode bits
reserved, and calls the word of the root dispersion the estimated drift rate.
"""

from dataclasses import dataclass
from enum import IntEnum
from struct import Struct

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.wire.timestamps import from_short, to_short

HEADER = Struct(">BBbbII4sQQQQ")
HEADER_LENGTH = HEADER.size

VERSIONS = range(1, 5)
"""Those that this project speaks."""


class Mode(IntEnum):
    """RFC 5905 figure 10."""

    RESERVED = 0
    SYMMETRIC_ACTIVE = 1
    SYMMETRIC_PASSIVE = 2
    CLIENT = 3
    SERVER = 4
    BROADCAST = 5
    CONTROL = 6
    PRIVATE = 7


@dataclass(frozen=True, slots=True)
class Header:
    """The fields as they are on the wire: a stratum of 0 is unspecified, timestamps are 64-bit and 0 when unknown."""

    leap: Leap = Leap.NONE
    version: int = 4
    mode: Mode = Mode.CLIENT
    stratum: int = 0
    poll: int = 0
    """Exponent of two, in seconds; so is `precision`."""
    precision: int = 0
    root_delay: float = 0.0
    """Seconds; so is `root_dispersion`. Both go out rounded up to 2**-16 s."""
    root_dispersion: float = 0.0
    reference_id: bytes = bytes(4)
    reference_timestamp: int = 0
    origin_timestamp: int = 0
    receive_timestamp: int = 0
    transmit_timestamp: int = 0


def version_of(first: int) -> int:
    """The version in the first octet of a packet."""
    return first >> 3 & 7


def parse_header(data: bytes | bytearray | memoryview) -> Header:
    """Read the header; whatever follows it is left alone.

    Raises WireError when it is cut short or of a version other than 1 to 4.
    """
    if len(data) < HEADER_LENGTH:
        raise WireError(f"{len(data)} octets are no NTP packet: its header has {HEADER_LENGTH}")
    first, stratum, poll, precision, root_delay, root_dispersion, *rest = HEADER.unpack_from(data)
    if version_of(first) not in VERSIONS:
        raise WireError(f"NTP version {version_of(first)} is none of 1 to 4")
    return Header(
        Leap(first >> 6),
        version_of(first),
        Mode(first & 7),
        stratum,
        poll,
        precision,
        from_short(root_delay),
        from_short(root_dispersion),
        *rest,
    )


def build_header(header: Header) -> bytes:
    """The header's 48 octets; a shorter reference id is padded with zeros."""
    return HEADER.pack(
        header.leap << 6 | header.version << 3 | header.mode,
        header.stratum,
        header.poll,
        header.precision,
        to_short(header.root_delay),
        to_short(header.root_dispersion),
        header.reference_id,
        header.reference_timestamp,
        header.origin_timestamp,
        header.receive_timestamp,
        header.transmit_timestamp,
    )
