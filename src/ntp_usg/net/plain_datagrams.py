"""Datagrams one at a time through Python's own socket calls, for simulators that know no system calls for many."""

import socket

from ntp_usg.net.addresses import SocketAddress
from ntp_usg.sysapi.datagram_batch import Datagram
from ntp_usg.sysapi.timestamping import ANCILLARY_SIZE, LocalAddress, local_address, packet_info_control, receive_time


class PlainDatagrams:
    """A batch of one, as `DatagramBatch` is one of many; its only row is 0."""

    def __init__(self, endpoint: socket.socket, longest: int, sole: LocalAddress | None) -> None:
        self._endpoint = endpoint
        self._longest = longest
        self._sole = sole
        self._source: SocketAddress = ("", 0)
        self._datagram = Datagram(b"", b"", 0, 0, None)

    def receive(self) -> int:
        """Take in what waits, if anything does: 1 or 0."""
        while True:
            try:
                data, ancillary, _, self._source = self._endpoint.recvmsg(self._longest + 1, ANCILLARY_SIZE)
            except BlockingIOError:
                return 0
            except OSError:  # news of an earlier answer (an ICMP error), not of a request
                continue
            packed = socket.inet_pton(self._endpoint.family, self._source[0].partition("%")[0])
            stamp, asked = receive_time(ancillary) or 0, self._sole or local_address(ancillary)
            self._datagram = Datagram(data, packed, self._source[1], stamp, asked)
            return 1

    def read(self, _row: int) -> Datagram:
        return self._datagram

    def source(self, _row: int) -> SocketAddress:
        return self._source

    def answer(self, _row: int, packet: bytes | bytearray) -> bool:
        """Send an answer; whether the kernel took it."""
        control = [] if self._sole else packet_info_control(self._datagram.asked)
        try:
            self._endpoint.sendmsg([packet], control, 0, self._source)
        except (OSError, OverflowError):  # a full queue, no way to it, or an address that cannot be sent to
            return False
        return True
