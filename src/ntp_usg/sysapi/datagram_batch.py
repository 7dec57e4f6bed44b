"""Many datagrams of a socket in one system call, in arrays that are laid over what the kernel reads and writes.

recvmmsg(2), sendmmsg(2), cmsg(3); the layouts are those of `struct mmsghdr` and its parts on any Linux.
"""

import ctypes
import errno
import socket
from dataclasses import dataclass
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
_CONTROL = 128
"""Octets for a receive stamp and the packet information."""
_NAME = 32
"""A little more than sizeof(struct sockaddr_in6)."""
_MSG_DONTWAIT = 0x40

Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where in a datagram's control data its stamp and packet information are: the same for nearly all of a socket."""

    length: int
    stamp_at: int
    stamp_type: str
    info_at: int


class DatagramBatch:
    """Up to `size` datagrams that came in on one non-blocking UDP socket, and the answers that take their places.

    Rows below what `receive` returned are valid. `heads`: (size, 48) octets; `lengths`; `stamps`: when the kernel took
    each in, nanoseconds, 0 = unknown; `ports`: the sources', like `sources` big-endian. A row's answer goes back where
    its request came from, from the address of ours that was asked.
    """

    def __init__(self, endpoint: socket.socket, size: int, longest: int) -> None:
        self._descriptor = endpoint.fileno()
        self._ipv6 = endpoint.family == socket.AF_INET6
        self.size = size
        self.heads = np.zeros((size, HEAD), np.uint8)
        self._tails = np.zeros((size, longest + 1 - HEAD), np.uint8)
        self._names = np.zeros((size, _NAME), np.uint8)
        self._control = np.zeros((size, _CONTROL), np.uint8)
        self._head_parts = _iovecs(self.heads)
        self._parts = np.stack([self._head_parts, _iovecs(self._tails)], axis=1)
        self._received = self._headers(self._parts, name_length=_NAME)
        self._received["message"]["control"] = _rows(self._control)
        self._answers = self._headers(self._head_parts[:, None], name_length=28 if self._ipv6 else 16)
        self._picked = self._answers.copy()
        self._received_at, self._answers_at = self._received.ctypes.data, self._answers.ctypes.data
        self._picked_at, self._control_at = self._picked.ctypes.data, self._control.ctypes.data
        self._layout: _Layout | None = None
        self._regular = False
        self.lengths: NDArray[np.uint32] = self._received["length"]
        self.stamps = np.zeros(size, np.int64)
        self.ports = self._names[:, 2:4].view(">u2")[:, 0]
        self.sources = self._names[:, 8:24].view(">u8") if self._ipv6 else self._names[:, 4:8].view(">u4")[:, 0]
        """Addresses: (size, 2) halves of IPv6 ones, (size,) IPv4 ones."""

    def receive(self) -> int:
        """Take in what waits, without waiting; how many that was. News of earlier answers (ICMP errors) are dropped."""
        self._received["message"]["control_length"] = _CONTROL
        while True:
            count: int = _recvmmsg(self._descriptor, self._received_at, self.size, _MSG_DONTWAIT, None)
            if count >= 0:
                self._look_at_control(count)
                return count
            if ctypes.get_errno() in {errno.EAGAIN, errno.EINTR}:
                return 0

    def send(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Send the heads of these rows as answers; those that the kernel did not take are returned."""
        total, done = len(rows), 0
        sent: int
        messages_at = self._answers_at
        if total and int(rows[-1]) != total - 1:  # rows rise: these are not the first ones without a gap
            self._picked[:total] = self._answers[rows]
            messages_at = self._picked_at
        failed = []
        while done < total:
            sent = _sendmmsg(self._descriptor, messages_at + done * _MMSGHDR.itemsize, total - done, _MSG_DONTWAIT)
            if sent < 0:
                failed.append(rows[done])
            done += max(sent, 1)
        return np.array(failed, np.int64)

    def data(self, row: int) -> bytes:
        """A whole datagram; of one that is too long, one octet more than allowed."""
        length = int(self.lengths[row])
        return self.heads[row, :length].tobytes() + self._tails[row, : max(0, length - HEAD)].tobytes()

    def packed_source(self, row: int) -> bytes:
        """The source's address, 4 or 16 octets."""
        return self._names[row, 8:24].tobytes() if self._ipv6 else self._names[row, 4:8].tobytes()

    def source(self, row: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """The source's address as the socket module writes it."""
        port = int(self.ports[row])
        if not self._ipv6:
            return socket.inet_ntoa(self.packed_source(row)), port
        flow, scope = int(self._names[row, 4:8].view(">u4")[0]), int(self._names[row, 24:28].view(np.uint32)[0])
        return socket.inet_ntop(socket.AF_INET6, self.packed_source(row)), port, flow, scope

    def asked(self, row: int) -> LocalAddress | None:
        """Which of our addresses was asked; None where the kernel has not said or a multicast group was."""
        message = self._answers[row]["message"]
        if not message["control"]:
            return None
        at = int(message["control"]) - self._control_at - row * _CONTROL + _CMSG.itemsize
        data = self._control[row, at:].tobytes()
        if self._ipv6:
            return LocalAddress(*IN6_PKTINFO.unpack_from(data))
        return LocalAddress(IN_PKTINFO.unpack_from(data)[1], 0)

    def _headers(self, parts: NDArray[Any], name_length: int) -> NDArray[Any]:
        headers = np.zeros(self.size, _MMSGHDR)
        message = headers["message"]
        message["name"], message["name_length"] = _rows(self._names), name_length
        message["parts"], message["part_count"] = _rows(parts), parts.shape[1]
        return headers

    def _look_at_control(self, count: int) -> None:
        """Find stamps and packet information: at once where all is where it was last time, else one by one."""
        lengths = self._received["message"]["control_length"][:count]
        if self._layout is None or np.count_nonzero(lengths != self._layout.length):
            self._regular = False
            for row in range(count):
                self._search(row, int(lengths[row]))
            return
        layout = self._layout
        if not self._regular:
            self._place_information(layout)
        seconds, nanoseconds = self._stamp_parts
        np.multiply(seconds[:count], NS_PER_SECOND, out=self.stamps[:count])
        self.stamps[:count] += nanoseconds[:count]
        if self._ipv6:
            special = np.flatnonzero(self._asked_first[:count] >= 0xFE)
            interfaces = self._interfaces[special]
            self._interfaces[:count] = 0
            if special.size:
                self._interfaces[special] = interfaces
                self._regular = False
                for row in special.tolist():
                    self._search(row, layout.length)
        else:
            self._interfaces[:count] = 0

    def _place_information(self, layout: _Layout) -> None:
        """Views of what is at the usual places, and answers that point there."""
        stamps = np.ndarray(
            (2, self.size),
            layout.stamp_type,
            self._control,
            layout.stamp_at,
            (np.dtype(layout.stamp_type).itemsize, _CONTROL),
        )
        self._stamp_parts = stamps[0], stamps[1]
        data_at = layout.info_at + _CMSG.itemsize
        self._asked_first = self._control[:, data_at]
        self._interfaces = np.ndarray(
            (self.size,), np.int32, self._control, data_at + (16 if self._ipv6 else 0), (_CONTROL,)
        )
        message = self._answers["message"]
        message["control"] = _rows(self._control) + np.uintp(layout.info_at)
        message["control_length"] = self._information_length
        self._regular = True

    @property
    def _information_length(self) -> int:
        return _CMSG.itemsize + (IN6_PKTINFO if self._ipv6 else IN_PKTINFO).size

    def _search(self, row: int, length: int) -> None:
        """Walk one datagram's control data; what is found becomes the usual layout."""
        at, self.stamps[row] = 0, 0
        stamp_at, stamp_type, info_at = -1, "", -1
        wanted = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO) if self._ipv6 else (socket.IPPROTO_IP, IP_PKTINFO)
        while at + _CMSG.itemsize <= length:
            header = self._control[row, at : at + _CMSG.itemsize].view(_CMSG)[0]
            step, level, kind = int(header["length"]), int(header["level"]), int(header["kind"])
            if step < _CMSG.itemsize or at + step > length:
                break
            if level == socket.SOL_SOCKET and kind in STAMPS:
                stamp_at, stamp_type = at + _CMSG.itemsize, "i8" if STAMPS[kind].size == 16 else "i4"
                seconds, nanoseconds = STAMPS[kind].unpack_from(self._control[row, stamp_at:].tobytes())
                self.stamps[row] = seconds * NS_PER_SECOND + nanoseconds if seconds else 0
            elif (level, kind) == wanted:
                info_at = at
            at += -(-step // _ALIGNMENT) * _ALIGNMENT
        if stamp_at >= 0 and info_at >= 0:
            self._layout = _Layout(length, stamp_at, stamp_type, info_at)
        self._answer_from(row, info_at)

    def _answer_from(self, row: int, info_at: int) -> None:
        """Let the answer leave from the address that was asked, by whatever interface the routes say."""
        message = self._answers["message"]
        message["control"][row] = message["control_length"][row] = 0
        if info_at < 0:
            return
        data_at = info_at + _CMSG.itemsize
        if self._ipv6:
            packed = self._control[row, data_at : data_at + 16].tobytes()
            if packed[0] == 0xFF:
                return
            if not is_link_local(packed):
                self._control[row, data_at + 16 : data_at + 20] = 0
        else:
            self._control[row, data_at : data_at + 4] = 0
        message["control"][row] = self._control_at + row * _CONTROL + info_at
        message["control_length"][row] = self._information_length


_ALIGNMENT = ctypes.sizeof(ctypes.c_size_t)
_recvmmsg, _sendmmsg = LIBC.recvmmsg, LIBC.sendmmsg
_recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]
_sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]


def _rows(array: NDArray[Any]) -> NDArray[np.uintp]:
    """The address of each row."""
    return np.uintp(array.ctypes.data) + np.arange(len(array), dtype=np.uintp) * np.uintp(array.strides[0])


def _iovecs(array: NDArray[Any]) -> NDArray[Any]:
    iovecs = np.zeros(len(array), _IOVEC)
    iovecs["base"], iovecs["length"] = _rows(array), array.shape[1]
    return iovecs
