"""Packets of Trimble's binary protocol in a byte stream (ThunderBolt E User Guide, appendix A, "Packet structure")."""

import re
from dataclasses import dataclass
from enum import IntEnum

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.framing import LineFramer

_DLE, _ETX = b"\x10", b"\x03"
_LONGEST_DATA = 160
"""Twice as long as the longest packet that is of use: each of its bytes may be stuffed."""

# A DLE inside is doubled, so a single one that does not end the packet shows it torn, and begins the next.
_WHOLE = re.compile(rb"\x10[^\x10\x03](?:[^\x10]|\x10\x10){0,%d}\x10\x03" % _LONGEST_DATA)
_UNFINISHED = re.compile(rb"\x10(?:[^\x10\x03](?:[^\x10]|\x10\x10){0,%d}\x10?)?\Z" % _LONGEST_DATA)

LONGEST_PACKET = 2 * _LONGEST_DATA + 4


class Kind(IntEnum):
    """Identifier, and of superpackets the subcode beside it, of the reports that are of use to a clock."""

    SATELLITES = 0x6D
    TRACKED_SATELLITES = 0x6C
    UTC_MODE = 0x8FA2
    BROADCAST_MASK = 0x8FA5
    PRIMARY_TIMING = 0x8FAB
    SUPPLEMENTAL_TIMING = 0x8FAC
    UTC_TIME = 0x8FAD
    COMPREHENSIVE_TIME = 0x8F0B

    @property
    def label(self) -> str:
        """As manuals write it."""
        return f"{self >> 8:02X}-{self & 0xFF:02X}" if self > 0xFF else f"{self:02X}"


SUPER_REPORT, SUPER_COMMAND = 0x8F, 0x8E


@dataclass(frozen=True, slots=True)
class TsipPacket:
    """One packet without its frame, and when its first byte arrived."""

    kind: int
    data: bytes
    started_at: HostNs


def build_packet(kind: int, data: bytes = b"") -> bytes:
    """A packet as it goes over the line; `kind` is an identifier, or with a superpacket's subcode one of two bytes."""
    identity = kind.to_bytes(2 if kind > 0xFF else 1, "big")
    return _DLE + identity[:1] + (identity[1:] + data).replace(_DLE, 2 * _DLE) + _DLE + _ETX


class TsipFramer:
    """Cuts packets out of a stream, of any bytes in pieces of any size; never holds more than one packet.

    There is no checksum: what a packet says must stand up by itself.
    """

    def __init__(self) -> None:
        self._framer = LineFramer(_WHOLE, _UNFINISHED)

    def feed(self, data: bytes, received_at: HostNs) -> list[TsipPacket]:
        """The packets that these bytes complete."""
        return [_open(frame.data, frame.started_at) for frame in self._framer.feed(data, received_at)]


def _open(frame: bytes, started_at: HostNs) -> TsipPacket:
    content = frame[1:-2].replace(2 * _DLE, _DLE)
    head = 2 if content[0] in {SUPER_REPORT, SUPER_COMMAND} and len(content) > 1 else 1
    return TsipPacket(int.from_bytes(content[:head], "big"), content[head:], started_at)
