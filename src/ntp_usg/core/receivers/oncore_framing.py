"""Messages of Motorola's binary protocol in a byte stream (M12+ User's Guide, chapter 5, and VP Oncore's reference)."""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import reduce
from operator import xor

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.framing import LineFramer


class Kind(StrEnum):
    """The two letters of a message; those of position and of T-RAIM differ with the number of channels: 6, 8, 12."""

    POSITION_6 = "Ba"
    POSITION_8 = "Ea"
    POSITION_12 = "Ha"
    RAIM_6 = "Bn"
    RAIM_8 = "En"
    RAIM_12 = "Hn"
    RAIM_ON_12 = "Ge"
    TIME_MODE = "Aw"
    UTC_OFFSET = "Bo"
    LEAP_PENDING = "Bj"
    LEAP_DATE = "Gj"
    HOLD_POSITION = "As"
    HOLD = "At"
    HOLD_12 = "Gd"
    CABLE_DELAY = "Az"
    MASK_ANGLE = "Ag"
    RECEIVER_ID = "Cj"


LENGTHS = {
    Kind.POSITION_6: 68,
    Kind.POSITION_8: 76,
    Kind.POSITION_12: 154,
    Kind.RAIM_6: 59,
    Kind.RAIM_8: 69,
    Kind.RAIM_12: 78,
    Kind.RAIM_ON_12: 8,
    Kind.TIME_MODE: 8,
    Kind.UTC_OFFSET: 8,
    Kind.LEAP_PENDING: 8,
    Kind.LEAP_DATE: 21,
    Kind.HOLD_POSITION: 20,
    Kind.HOLD: 8,
    Kind.HOLD_12: 8,
    Kind.CABLE_DELAY: 11,
    Kind.MASK_ANGLE: 8,
    Kind.RECEIVER_ID: 294,
}
"""Of the receiver's messages, from `@@` to the end of the line: there is no length in them."""

LONGEST_MESSAGE = max(LENGTHS.values())

_END = b"\r\n"
_TORN = Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM)


_WHOLE = re.compile(
    b"@@(?:%s)" % b"|".join(rb"%s[\s\S]{%d}\r\n" % (kind.encode(), length - 6) for kind, length in LENGTHS.items())
)
_UNFINISHED = re.compile(
    rb"@(?:@(?:[A-Z]|%s)?)?\Z"
    % b"|".join(rb"%s[\s\S]{0,%d}" % (kind.encode(), length - 5) for kind, length in LENGTHS.items())
)


@dataclass(frozen=True, slots=True)
class OncoreMessage:
    """One message that has passed its checksum, and when its first byte arrived."""

    kind: Kind
    data: bytes
    started_at: HostNs


def build_message(kind: str, data: bytes = b"") -> bytes:
    """A message as it goes over the line."""
    content = kind.encode("ascii") + data
    return b"@@%s%c%s" % (content, reduce(xor, content), _END)


class OncoreFramer:
    """Cuts messages out of a stream, of any bytes in pieces of any size; never holds more than one."""

    def __init__(self) -> None:
        self._framer = LineFramer(_WHOLE, _UNFINISHED)

    def feed(self, data: bytes, received_at: HostNs) -> list[OncoreMessage | Verdict]:
        """The messages that these bytes complete, and a verdict for each that is spoilt."""
        return [_open(frame.data, frame.started_at) for frame in self._framer.feed(data, received_at)]


def _open(frame: bytes, started_at: HostNs) -> OncoreMessage | Verdict:
    content, checksum = frame[2:-3], frame[-3]
    if reduce(xor, content) != checksum:
        return _TORN
    return OncoreMessage(Kind(content[:2].decode("ascii")), content[2:], started_at)
