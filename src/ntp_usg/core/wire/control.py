"""Mode 6 control messages (RFC 9327), the language of ntpq."""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.wire.header import Mode

MAX_FRAGMENT_DATA = 468
"""Octets of data that one packet may carry: with the header, 480."""

_HEADER = struct.Struct("!BBHHHHH")
_RESPONSE, _ERROR, _MORE, _OPCODE_MASK = 0x80, 0x40, 0x20, 0x1F


class Opcode(IntEnum):
    """RFC 9327 section 2."""

    READ_STATUS = 1
    READ_VARIABLES = 2
    WRITE_VARIABLES = 3
    READ_CLOCK_VARIABLES = 4
    WRITE_CLOCK_VARIABLES = 5
    SET_TRAP = 6
    CONFIGURE = 8
    SAVE_CONFIGURATION = 9
    READ_MRU = 10
    REQUEST_NONCE = 12
    UNSET_TRAP = 31


class ErrorCode(IntEnum):
    """RFC 9327 section 3.4; travels in the high octet of the status word."""

    PERMISSION = 1
    BAD_FORMAT = 2
    BAD_OPCODE = 3
    UNKNOWN_ASSOCIATION = 4
    UNKNOWN_VARIABLE = 5


class RefusedError(Exception):
    """A well-formed request that gets an error code."""

    def __init__(self, code: ErrorCode) -> None:
        self.code = code


@dataclass(frozen=True, slots=True)
class ControlMessage:
    """One mode 6 packet; `data` has no padding, and a MAC behind it is not kept."""

    opcode: int
    sequence: int
    version: int = 2
    leap: int = 0
    response: bool = False
    error: bool = False
    more: bool = False
    status: int = 0
    association: int = 0
    offset: int = 0
    data: bytes = b""


def parse_control(data: bytes | memoryview) -> ControlMessage:
    """RFC 9327 section 2.

    Raises WireError for packets that are shorter than they say or of another mode.
    """
    if len(data) < _HEADER.size:
        raise WireError(f"a control message of {len(data)} octets is shorter than its {_HEADER.size}-octet header")
    first, flags, sequence, status, association, offset, count = _HEADER.unpack_from(data)
    if first & 7 != Mode.CONTROL:
        raise WireError(f"mode {first & 7} is not a control message")
    if count > min(len(data) - _HEADER.size, MAX_FRAGMENT_DATA):
        raise WireError(f"a control message of {len(data)} octets cannot hold {count} octets of data")
    return ControlMessage(
        opcode=flags & _OPCODE_MASK,
        sequence=sequence,
        version=first >> 3 & 7,
        leap=first >> 6,
        response=bool(flags & _RESPONSE),
        error=bool(flags & _ERROR),
        more=bool(flags & _MORE),
        status=status,
        association=association,
        offset=offset,
        data=bytes(data[_HEADER.size : _HEADER.size + count]),
    )


def build_control(message: ControlMessage) -> bytes:
    """The packet, padded with zeros to a multiple of 4 octets."""
    flags = _RESPONSE * message.response | _ERROR * message.error | _MORE * message.more | message.opcode
    header = _HEADER.pack(
        message.leap << 6 | message.version << 3 | Mode.CONTROL,
        flags,
        message.sequence,
        message.status,
        message.association,
        message.offset,
        len(message.data),
    )
    return header + message.data + bytes(-len(message.data) % 4)


def build_fragments(message: ControlMessage) -> list[bytes]:
    """The packets that carry a message whose data may be longer than one packet takes."""
    starts = range(0, len(message.data), MAX_FRAGMENT_DATA) or (0,)
    return [
        build_control(
            replace(
                message,
                offset=start,
                data=message.data[start : start + MAX_FRAGMENT_DATA],
                more=start != starts[-1],
            )
        )
        for start in starts
    ]
