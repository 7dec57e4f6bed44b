"""Many datagrams of a socket in one system call, in arrays that are laid over what the kernel reads and writes.

recvmmsg(2), sendmmsg(2), cmsg(3); the layouts are those of `struct mmsghdr` and its parts on any Linux. There are two
ways to look at what came: arrays for many, `read` for one row, which is sooner done than preparing arrays.
"""

import ctypes
import errno
import socket
from dataclasses import dataclass
from struct import Struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.sysapi.libc import LIBC
from ntp_usg.sysapi.timestamping import IN6_PKTINFO, IN_PKTINFO, IP_PKTINFO, STAMPS, LocalAddress, is_link_local

HEAD = 48
"""Octets that are kept side by side: an NTP header. Of a longer datagram the rest lies elsewhere."""

_IOVEC = np.dtype([("base", np.uintp), ("length", np.uintp)], align=True)
_MSGHDR = np.dtype(
    [
        ("name", np.uintp),
        ("name_length", np.uint32),
        ("parts", np.uintp),
        ("part_count", np.uintp),
        ("control", np.uintp),
        ("control_length", np.uintp),
        ("flags", np.int32),
    ],
    align=True,
)
_MMSGHDR = np.dtype([("message", _MSGHDR), ("length", np.uint32)], align=True)
_CMSG = np.dtype([("length", np.uintp), ("level", np.int32), ("kind", np.int32)], align=True)
_CMSG_HEADER = Struct("@Nii")
_CONTROL_LENGTH_AT = _MSGHDR.fields["control_length"][1]  # type: ignore[index]
_LENGTH_AT = _MMSGHDR.fields["length"][1]  # type: ignore[index]
_CONTROL_LENGTH, _LENGTH, _INTERFACE, _PORT = Struct("@N"), Struct("@I"), Struct("@i"), Struct("!H")
_TIMESTAMP = Struct("!Q")
_MASK = 2**64 - 1
_NS = np.array(NS_PER_SECOND)
_TIMESTAMP_AT = HEAD - _TIMESTAMP.size
_STEP = _MMSGHDR.itemsize
_NAME = 32
"""A little more than sizeof(struct sockaddr_in6)."""
_STAMP_SIZE = 16
_ALIGNMENT = ctypes.sizeof(ctypes.c_size_t)
_MSG_DONTWAIT = 0x40
_SPECIAL = 0xFE
"""From this first octet on IPv6 addresses are link-local or multicast ones, whose answers want care."""

_recvmmsg, _sendmmsg = LIBC.recvmmsg, LIBC.sendmmsg
_recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in a datagram's control data its stamp and packet information are: the same for nearly all of a socket."""

    length: int
    stamp_at: int
    stamp: Struct
    information_at: int


@dataclass(frozen=True, slots=True)
class Datagram:
    """One row, in plain values."""

    data: bytes
    """Of a datagram that is too long, one octet more than allowed."""
    packed_source: bytes
    port: int
    stamp: int
    """When the kernel took it in, nanoseconds of the host's clock; 0 = unknown."""
    asked: LocalAddress | None
    """Which of our addresses was asked; None where the kernel has not said, or a multicast group was."""


class DatagramBatch:
    """Up to `size` datagrams that came in on one non-blocking UDP socket, and the answers that take their places.

    Rows below what `receive` returned are valid. A row's answer goes back where its request came from, from the address
    of ours that was asked. For many rows, once `read_all` has said yes: `heads` (size, 48) octets; `lengths`; `stamps`;
    `ports` and `sources`, from where, and `asked`, whereto, as on the wire: (size,) IPv4 or (size, 2) halves of IPv6.
    """

    def __init__(self, endpoint: socket.socket, size: int, longest: int, sole: LocalAddress | None) -> None:
        """`sole`: which address of ours they all come to; None where packet information says it of each."""
        self._sole = sole
        self._descriptor = endpoint.fileno()
        self._ipv6 = endpoint.family == socket.AF_INET6
        self._information = IN6_PKTINFO if self._ipv6 else IN_PKTINFO
        self.size = size
        self.heads = np.zeros((size, HEAD), np.uint8)
        self._tails = np.zeros((size, longest + 1 - HEAD), np.uint8)
        self._names = np.zeros((size, _NAME), np.uint8)
        # No more room than it takes: what a full batch touches should stay in the processor's first cache.
        self._room = socket.CMSG_SPACE(_STAMP_SIZE) + (0 if sole else socket.CMSG_SPACE(self._information.size))
        self._control = np.zeros((size, self._room), np.uint8)
        head_parts = _iovecs(self.heads)
        self._parts = head_parts[:, None], np.stack([head_parts, _iovecs(self._tails)], axis=1)
        self._answers = self._headers(self._parts[0], name_length=28 if self._ipv6 else 16)
        self._received = self._headers(self._parts[1], name_length=_NAME)
        self._received["message"]["control"] = _rows(self._control)
        self._picked = self._answers.copy()
        self._received_at, self._answers_at = self._received.ctypes.data, self._answers.ctypes.data
        self._picked_at, self._control_at = self._picked.ctypes.data, self._control.ctypes.data
        self._octets = {
            "heads": _octets(self.heads),
            "names": _octets(self._names),
            "control": _octets(self._control),
            "received": _octets(self._received),
        }
        self._head_octets = self._octets["heads"]
        self._control_lengths = self._received["message"]["control_length"]
        self._layout: _Layout | None = None
        self._usual_length: NDArray[np.uintp] = np.array(0, np.uintp)
        self._usual = False
        self.lengths: NDArray[np.uint32] = self._received["length"]
        self.stamps = np.zeros(size, np.int64)
        self.ports = self._names[:, 2:4].view(np.uint16)[:, 0]
        self.sources = self._names[:, 8:24].view(">u8") if self._ipv6 else self._names[:, 4:8].view(">u4")[:, 0]
        self.asked: NDArray[Any] = self.sources
        if sole:
            self.asked = np.broadcast_to(np.frombuffer(sole.packed, self.sources.dtype), self.sources.shape)

    def receive(self) -> int:
        """Take in what waits, without waiting; how many that was. News of earlier answers (ICMP errors) are dropped."""
        self._control_lengths[:] = self._room
        while True:
            count: int = _recvmmsg(self._descriptor, self._received_at, self.size, _MSG_DONTWAIT, None)
            if count >= 0:
                return count
            if ctypes.get_errno() in {errno.EAGAIN, errno.EINTR}:
                return 0

    def read_all(self, count: int) -> bool:
        """Prepare the arrays; False where some row is unusual, so that they must be read one by one."""
        layout = self._layout
        if layout is None or np.count_nonzero(self._control_lengths[:count] != self._usual_length):
            return False
        if not self._usual:
            self._expect(layout)
        if not self._sole:
            if self._ipv6 and np.count_nonzero(self._asked_first[:count] >= _SPECIAL):
                return False
            self._interfaces[:count] = 0  # the routes decide; see `_answer_from`
        seconds, nanoseconds = self._stamp_parts
        stamps = self.stamps[:count]
        np.multiply(seconds[:count], _NS, out=stamps)
        stamps += nanoseconds[:count]
        return True

    def read(self, row: int) -> Datagram:
        """One row, and its answer set on its way."""
        received, names = self._octets["received"], self._octets["names"]
        (length,) = _LENGTH.unpack_from(received, row * _MMSGHDR.itemsize + _LENGTH_AT)
        (control_length,) = _CONTROL_LENGTH.unpack_from(received, row * _MMSGHDR.itemsize + _CONTROL_LENGTH_AT)
        layout = self._layout
        if layout is None or control_length != layout.length:
            layout = self._search(row, control_length)
        elif not self._usual:
            self._expect(layout)
        stamp = 0
        if layout.stamp_at >= 0:
            seconds, nanoseconds = layout.stamp.unpack_from(self._octets["control"], row * self._room + layout.stamp_at)
            stamp = seconds * NS_PER_SECOND + nanoseconds if seconds else 0
        if self._sole:
            asked: LocalAddress | None = self._sole
        elif self._ipv6 or layout is not self._layout:
            asked = self._answer_from(row, layout.information_at)
        else:
            at = row * self._room + layout.information_at + _CMSG.itemsize
            _INTERFACE.pack_into(self._octets["control"], at, 0)
            asked = LocalAddress(bytes(self._octets["control"][at + 4 : at + 8]), 0)  # as _answer_from, but sooner
        name = row * _NAME
        data = bytes(self._octets["heads"][row * HEAD : row * HEAD + min(length, HEAD)])
        return Datagram(
            data if length <= HEAD else data + self._tails[row, : length - HEAD].tobytes(),
            bytes(names[name + 8 : name + 24] if self._ipv6 else names[name + 4 : name + 8]),
            _PORT.unpack_from(names, name + 2)[0],
            stamp,
            asked,
        )

    def source(self, row: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """A row's source as the socket module writes it."""
        (port,) = _PORT.unpack_from(self._octets["names"], row * _NAME + 2)
        if not self._ipv6:
            return socket.inet_ntoa(self._names[row, 4:8].tobytes()), port
        flow, scope = int(self._names[row, 4:8].view(">u4")[0]), int(self._names[row, 24:28].view(np.uint32)[0])
        return socket.inet_ntop(socket.AF_INET6, self._names[row, 8:24].tobytes()), port, flow, scope

    def answer(self, row: int, packet: bytes | bytearray) -> bool:
        """Send 48 octets as a row's answer; whether the kernel took them."""
        self._octets["heads"][row * HEAD : row * HEAD + HEAD] = packet
        return self.answer_row(row)

    def stamp(self, row: int, timestamp: int) -> None:
        """Write the last field of a row's head, the transmit timestamp."""
        _TIMESTAMP.pack_into(self._head_octets, row * HEAD + _TIMESTAMP_AT, timestamp & _MASK)

    def answer_row(self, row: int) -> bool:
        """Send a row's head as its answer; whether the kernel took it."""
        sent: int = _sendmmsg(self._descriptor, self._answers_at + row * _STEP, 1, _MSG_DONTWAIT)
        return sent == 1

    def answer_many(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Send the heads of these rows, which rise, as their answers; those that the kernel did not take."""
        total, done = len(rows), 0
        if not total:
            return rows
        first, sent = int(rows[0]), 0
        messages_at = self._answers_at + first * _STEP
        if int(rows[-1]) != first + total - 1:  # there are gaps
            self._picked[:total] = self._answers[rows]
            messages_at = self._picked_at
        failed = []
        while done < total:
            sent = _sendmmsg(self._descriptor, messages_at + done * _STEP, total - done, _MSG_DONTWAIT)
            if sent < 0:
                failed.append(rows[done])
            done += max(sent, 1)
        return np.array(failed, np.int64)

    def _headers(self, parts: NDArray[Any], name_length: int) -> NDArray[Any]:
        headers = np.zeros(self.size, _MMSGHDR)
        message = headers["message"]
        message["name"], message["name_length"] = _rows(self._names), name_length
        message["parts"], message["part_count"] = _rows(parts), parts.shape[1]
        return headers

    def _expect(self, layout: _Layout) -> None:
        """Views of what is at the usual places, and answers that point there."""
        stamp_type = "i8" if layout.stamp.size == 16 else "i4"
        steps = np.dtype(stamp_type).itemsize, self._room
        stamps: NDArray[Any] = np.ndarray((2, self.size), stamp_type, self._control, layout.stamp_at, steps)
        self._stamp_parts = stamps[0], stamps[1]
        self._usual = True
        if self._sole:
            return
        data_at = layout.information_at + _CMSG.itemsize
        self._asked_first = self._control[:, data_at]
        interface_at = data_at + (16 if self._ipv6 else 0)
        self._interfaces: NDArray[Any] = np.ndarray((self.size,), np.int32, self._control, interface_at, (self._room,))
        if self._ipv6:
            self.asked = np.ndarray((self.size, 2), ">u8", self._control, data_at, (self._room, 8))
        else:
            self.asked = np.ndarray((self.size,), ">u4", self._control, data_at + 4, (self._room,))
        message = self._answers["message"]
        message["control"] = _rows(self._control) + np.uintp(layout.information_at)
        message["control_length"] = _CMSG.itemsize + self._information.size

    def _search(self, row: int, length: int) -> _Layout:
        """Walk one datagram's control data; where all is found, it is where the next ones will be looked for."""
        wanted = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) if self._ipv6 else (socket.IPPROTO_IP, IP_PKTINFO)
        at, stamp_at, stamp, information_at = 0, -1, Struct("=qq"), -1
        while at + _CMSG.itemsize <= length:
            step, level, kind = _CMSG_HEADER.unpack_from(self._octets["control"], row * self._room + at)
            if step < _CMSG.itemsize or at + step > length:
                break
            if level == socket.SOL_SOCKET and kind in STAMPS:
                stamp_at, stamp = at + _CMSG.itemsize, STAMPS[kind]
            elif (level, kind) == wanted:
                information_at = at
            at += -(-step // _ALIGNMENT) * _ALIGNMENT
        layout = _Layout(length, stamp_at, stamp, information_at)
        if stamp_at >= 0 and (self._sole or information_at >= 0):
            self._layout, self._usual_length = layout, np.array(layout.length, np.uintp)
            self._expect(layout)
        return layout

    def _answer_from(self, row: int, information_at: int) -> LocalAddress | None:
        """Let the answer leave from the address that was asked, by whatever interface the routes say."""
        at = row * self._room + information_at + _CMSG.itemsize
        packed, interface = b"\xff", 0
        if information_at >= 0:
            fields = self._information.unpack_from(self._octets["control"], at)
            packed, interface = fields if self._ipv6 else (fields[1], 0)
        message = self._answers["message"]
        if information_at < 0 or (self._ipv6 and packed[0] == 0xFF):
            message["control"][row] = message["control_length"][row] = 0
            self._usual = False
            return None
        if not (self._ipv6 and is_link_local(packed)):
            interface = 0
            _INTERFACE.pack_into(self._octets["control"], at + (16 if self._ipv6 else 0), 0)
        if not self._layout or information_at != self._layout.information_at:
            message["control"][row] = self._control_at + row * self._room + information_at
            message["control_length"][row] = _CMSG.itemsize + self._information.size
            self._usual = False
        return LocalAddress(packed, interface)


def _rows(array: NDArray[Any]) -> NDArray[np.uintp]:
    """The address of each row."""
    return np.uintp(array.ctypes.data) + np.arange(len(array), dtype=np.uintp) * np.uintp(array.strides[0])


def _iovecs(array: NDArray[Any]) -> NDArray[Any]:
    iovecs = np.zeros(len(array), _IOVEC)
    iovecs["base"], iovecs["length"] = _rows(array), array.shape[1]
    return iovecs


def _octets(array: NDArray[Any]) -> memoryview:
    return memoryview(array.view(np.uint8).data).cast("B")
