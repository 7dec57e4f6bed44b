"""Which protocols a receiver's bytes belong to, for a message that names the right table when the wrong one is used."""

import re
from collections.abc import Callable, Iterator

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.framing import LineFramer
from ntp_usg.core.receivers.meinberg import parse_telegram, telegram_framer
from ntp_usg.core.receivers.nmea_sentences import ChecksumError, parse_sentence
from ntp_usg.core.receivers.oncore_framing import OncoreFramer, OncoreMessage
from ntp_usg.core.receivers.tsip_framing import Kind, TsipFramer
from ntp_usg.core.receivers.tsip_messages import parse_report
from ntp_usg.core.receivers.ubx_framing import checksum, label

MOST_BYTES = 65_536
"""After so many bytes it is clear what comes: the work is bounded on the fastest line."""
MOST_NAMES = 12
_FEWEST_WITHOUT_CHECKSUM = 2
"""Noise may look like one packet of a protocol without a checksum."""
_LONGEST_UBX = 2048
_UBX = re.compile(rb"\xb5\x62(..)(..)", re.DOTALL)
_AT = HostNs(0)


class ProtocolSpotter:
    """Bytes in; the names of the whole messages that they hold, by protocol (`ReceiverDriver.protocol`)."""

    def __init__(self) -> None:
        self._names: dict[str, dict[str, int]] = {}
        self._bytes = 0
        self._lines, self._telegrams = LineFramer(), telegram_framer()
        self._packets, self._messages = TsipFramer(), OncoreFramer()
        self._rest = b""
        self._spotters: dict[str, Callable[[bytes], Iterator[str]]] = {
            "NMEA": self._nmea,
            "UBX": self._ubx,
            "TSIP": self._tsip,
            "Motorola binary": self._oncore,
            "Meinberg telegrams": self._meinberg,
        }

    def feed(self, data: bytes) -> None:
        """Look at some bytes."""
        if self._bytes > MOST_BYTES:
            return
        self._bytes += len(data)
        for protocol, spot in self._spotters.items():
            names = self._names.setdefault(protocol, {})
            for name in spot(data):
                if name in names or len(names) < MOST_NAMES:
                    names[name] = names.get(name, 0) + 1

    @property
    def seen(self) -> dict[str, list[str]]:
        """The messages' names by protocol: `{"UBX": ["NAV-PVT", "TIM-TP"]}`."""
        fewest = {"TSIP": _FEWEST_WITHOUT_CHECKSUM}
        return {
            protocol: sorted(names)
            for protocol, names in self._names.items()
            if sum(names.values()) >= fewest.get(protocol, 1)
        }

    def _nmea(self, data: bytes) -> Iterator[str]:
        for frame in self._lines.feed(data, _AT):
            try:
                yield parse_sentence(frame.data).name or "others"
            except ChecksumError:
                continue
            except WireError:
                yield "others"

    def _ubx(self, data: bytes) -> Iterator[str]:
        """Of any kind, not only those that are of use to a clock."""
        text, end = self._rest + data, 0
        for frame in _UBX.finditer(text):
            stop = frame.end() + int.from_bytes(frame[2], "little")
            if frame.start() < end or stop - frame.start() > _LONGEST_UBX:
                continue
            if text[stop : stop + 2] == checksum(text[frame.start() + 2 : stop]):
                yield label(int.from_bytes(frame[1], "big"))
                end = stop + 2
        self._rest = text[max(end, len(text) - _LONGEST_UBX) :]

    def _tsip(self, data: bytes) -> Iterator[str]:
        for packet in self._packets.feed(data, _AT):
            try:
                if parse_report(packet):
                    yield Kind(packet.kind).label
            except WireError:
                continue

    def _oncore(self, data: bytes) -> Iterator[str]:
        for message in self._messages.feed(data, _AT):
            if isinstance(message, OncoreMessage):
                yield f"@@{message.kind}"

    def _meinberg(self, data: bytes) -> Iterator[str]:
        for frame in self._telegrams.feed(data, _AT):
            try:
                yield parse_telegram(frame.data).format
            except WireError:
                continue
