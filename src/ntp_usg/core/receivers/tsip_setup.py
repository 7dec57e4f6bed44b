"""Has a Trimble receiver send what a clock needs: asks what is set, sets what is missing, reads it back.

ThunderBolt E User Guide, appendix A, packets 8E-A2 and 8E-A5. Nothing is written to the receiver's permanent memory,
and nothing changed in one that does not know these packets: Palisade and Acutime have them answered otherwise or not.
"""

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.tsip_framing import Kind, TsipPacket, build_packet

UTC_MODE = 0x8EA2
BROADCAST_MASK = 0x8EA5
REQUEST_SATELLITES = 0x24

_UTC = b"\x03"
"""Both the time of the messages and the pulses are on UTC."""
_TIMING = 0b101
"""8F-AB and 8F-AC, of the mask's first word."""
_RETRY_NS = 2 * NS_PER_SECOND
_TRIES = 3

Event = Command | Description


class TsipSetup:
    """Commands out, packets in; asks three times at most, and sets each thing once."""

    def __init__(self) -> None:
        self._asked_at = MonoNs(0)
        self._tries = 0
        self._known: dict[Kind, str] = {}
        self._set: set[Kind] = set()

    def opened(self, now: MonoNs) -> list[Event]:
        """The questions."""
        self._asked_at = now
        self._tries += 1
        return [Command(build_packet(UTC_MODE) + build_packet(BROADCAST_MASK))]

    def heard(self, now: MonoNs) -> list[Event]:
        """The questions again, where the receiver speaks without answering them."""
        if len(self._known) == 2 or self._tries > _TRIES or now - self._asked_at < _RETRY_NS:
            return []
        if self._tries < _TRIES:
            return self.opened(now)
        self._tries += 1
        return [Description("does not answer: used as it is set")] if not self._known else []

    def answer(self, packet: TsipPacket) -> list[Event]:
        """What an answer leads to."""
        match packet.kind, len(packet.data):
            case Kind.UTC_MODE, 1:
                is_good = packet.data == _UTC
                return self._judge(Kind.UTC_MODE, UTC_MODE, _UTC, "UTC" if is_good else "GPS time", is_good=is_good)
            case Kind.BROADCAST_MASK, 4:
                first = int.from_bytes(packet.data[:2], "big")
                is_good = first & _TIMING == _TIMING
                wanted = (first | _TIMING).to_bytes(2, "big") + packet.data[2:]
                words = "timing packets on" if is_good else "timing packets off"
                return self._judge(Kind.BROADCAST_MASK, BROADCAST_MASK, wanted, words, is_good=is_good)
        return []

    def _judge(self, kind: Kind, command: int, wanted: bytes, words: str, *, is_good: bool) -> list[Event]:
        if not is_good and kind not in self._set:
            self._set.add(kind)
            return [Command(build_packet(command, wanted) + build_packet(command))]
        if self._known.get(kind) == words:
            return []
        self._known[kind] = words
        return [Description(", ".join(text for _, text in sorted(self._known.items())))]
