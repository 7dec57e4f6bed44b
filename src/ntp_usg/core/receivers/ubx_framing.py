"""Finds the frames of u-blox's binary protocol in a byte stream that may hold NMEA, or noise, besides."""

import struct
from collections.abc import Container
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict

_SYNC = b"\xb5\x62"
_HEADER = struct.Struct(">2sH")
_LENGTH = struct.Struct("<H")
_AROUND = _HEADER.size + _LENGTH.size + 2
"""Bytes of a frame that are not payload: sync, kind, length, checksum."""

_TORN = Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)


class Kind(IntEnum):
    """Class and number of the messages that are of use to a clock, as on the wire."""

    NAV_STATUS = 0x0103
    NAV_DOP = 0x0104
    NAV_PVT = 0x0107
    NAV_TIMEUTC = 0x0121
    NAV_TIMELS = 0x0126
    NAV_SVINFO = 0x0130
    NAV_SAT = 0x0135
    NAV_SVIN = 0x013B
    NAV_EOE = 0x0161
    ACK_NAK = 0x0500
    ACK_ACK = 0x0501
    CFG_PRT = 0x0600
    CFG_MSG = 0x0601
    CFG_RATE = 0x0608
    CFG_NAV5 = 0x0624
    CFG_TP5 = 0x0631
    CFG_ITFM = 0x0639
    CFG_TMODE2 = 0x063D
    CFG_TMODE3 = 0x0671
    CFG_VALSET = 0x068A
    CFG_VALGET = 0x068B
    MON_VER = 0x0A04
    MON_HW = 0x0A09
    MON_RF = 0x0A38
    TIM_TP = 0x0D01
    TIM_SVIN = 0x0D04
    SEC_SIG = 0x2709

    @property
    def label(self) -> str:
        """As in the manuals: `NAV-PVT`."""
        return self.name.replace("_", "-")


def label(kind: int) -> str:
    """The same of any kind; of one that is of no use to a clock its class and number: `01-02`."""
    return Kind(kind).label if kind in _LENGTHS else f"{kind >> 8:02X}-{kind & 0xFF:02X}"


_LENGTHS: dict[int, Container[int]] = {
    Kind.NAV_STATUS: (16,),
    Kind.NAV_DOP: (18,),
    Kind.NAV_PVT: range(84, 129, 4),  # it has grown once, and may again
    Kind.NAV_TIMEUTC: (20,),
    Kind.NAV_TIMELS: (24,),
    Kind.NAV_SVINFO: range(8, 8 + 12 * 128 + 1, 12),
    Kind.NAV_SAT: range(8, 8 + 12 * 128 + 1, 12),
    Kind.NAV_SVIN: (40,),
    Kind.NAV_EOE: (4,),
    Kind.ACK_NAK: (2,),
    Kind.ACK_ACK: (2,),
    Kind.CFG_PRT: (20,),
    Kind.CFG_MSG: (8,),
    Kind.CFG_RATE: (6,),
    Kind.CFG_NAV5: (36,),
    Kind.CFG_TP5: (32,),
    Kind.CFG_ITFM: (8,),
    Kind.CFG_TMODE2: (28,),
    Kind.CFG_TMODE3: (40,),
    Kind.CFG_VALGET: range(4, 4 + 12 * 64),
    Kind.MON_VER: range(40, 40 + 30 * 16 + 1, 30),
    Kind.MON_HW: (60, 68),
    Kind.MON_RF: range(4, 4 + 24 * 8 + 1, 24),
    Kind.TIM_TP: (16,),
    Kind.TIM_SVIN: (28,),
    Kind.SEC_SIG: range(4, 4 + 4 * 16 + 1, 4),
}
"""What else begins with the two sync bytes is passed over as noise is: so noise can never claim to be a long frame."""

LONGEST_FRAME = 8 + 12 * 128 + _AROUND


@dataclass(frozen=True, slots=True)
class UbxFrame:
    """One message that has passed its checksum, and when its first byte arrived."""

    kind: Kind
    payload: bytes
    started_at: HostNs


def build_frame(kind: int, payload: bytes) -> bytes:
    """A payload as it goes over the line (u-blox interface description, "UBX frame structure")."""
    body = kind.to_bytes(2, "big") + _LENGTH.pack(len(payload)) + payload
    return _SYNC + body + checksum(body)


def checksum(body: bytes) -> bytes:
    """Fletcher's, of RFC 1145, with 8 bits."""
    return bytes((sum(body) & 0xFF, sum(accumulate(body)) & 0xFF))


class UbxFramer:
    """Cuts frames out of a stream, of any bytes in pieces of any size; never holds more than one frame.

    Inside a frame that turns out spoilt it looks for others: a torn one takes none with it.
    """

    def __init__(self) -> None:
        self._held = b""
        self._arrivals: list[HostNs] = []  # of each byte held

    @property
    def unfinished(self) -> bool:
        return bool(self._held)

    def feed(self, data: bytes, received_at: HostNs) -> list[UbxFrame | Verdict]:
        """The frames that these bytes complete, and a verdict for each that is spoilt."""
        self._held += data
        self._arrivals += [received_at] * len(data)
        return self._cut(more=True)

    def flush(self) -> list[UbxFrame | Verdict]:
        """Nothing more is coming: give up the unfinished frame, but not those that it seemed to contain."""
        return self._cut(more=False)

    def _cut(self, *, more: bool) -> list[UbxFrame | Verdict]:
        found: list[UbxFrame | Verdict] = []
        text, position = self._held, 0
        while (start := text.find(_SYNC, position)) >= 0:
            end = _end(text, start)
            if end is None:
                position = start + len(_SYNC)
                continue
            if end > len(text) and more:
                break
            frame = self._frame(start, end)
            found.append(frame or _TORN)
            position = end if frame else start + len(_SYNC)
        if start < 0:
            half_a_sync = more and text.endswith(_SYNC[:1], position)
            start = len(text) - half_a_sync
        self._held, self._arrivals = text[start:], self._arrivals[start:]
        return found

    def _frame(self, start: int, end: int) -> UbxFrame | None:
        frame = self._held[start:end]
        if len(frame) < end - start or checksum(frame[2:-2]) != frame[-2:]:
            return None
        return UbxFrame(Kind(_HEADER.unpack_from(frame)[1]), frame[6:-2], self._arrivals[start])


def _end(text: bytes, start: int) -> int | None:
    """Where the frame at `start` ends, as far as can be told by now; None where there is none."""
    header = text[start : start + 6]
    if len(header) < 6:
        return start + _AROUND
    lengths, (length,) = _LENGTHS.get(_HEADER.unpack_from(header)[1]), _LENGTH.unpack_from(header, 4)
    return start + length + _AROUND if lengths is not None and length in lengths else None
