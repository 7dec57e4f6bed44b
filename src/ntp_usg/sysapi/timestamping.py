"""What the kernel knows of a datagram: when it came in or left, and at which of our addresses.

See socket(7), ip(7), ipv6(7). Everything here that is called per packet takes the ancillary data of `recvmsg` as it is.
"""

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import NamedTuple

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs

ControlMessage = tuple[int, int, bytes]

# Python's socket module lacks these; the numbers are Linux's for x86, ARM and RISC-V.
IP_PKTINFO = 8
_SO_TIMESTAMPNS_OLD, _SO_TIMESTAMPING_OLD, _SO_TIMESTAMPNS_NEW, _SO_TIMESTAMPING_NEW = 35, 37, 64, 65
_RX_SOFTWARE = 1 << 3 | 1 << 4  # SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE

_DEPARTURES = 1 << 1 | 1 << 11  # SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_TSONLY
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_ORIGIN_TIMESTAMPING = 4  # SO_EE_ORIGIN_TIMESTAMPING, the fifth octet of struct sock_extended_err

# The "new" options (Linux 5.1) give 64-bit seconds on 32-bit machines too, so that stamps survive 2038. The stamps of
# SO_TIMESTAMPING would be the same, in three times the octets.
_OPTIONS = (_SO_TIMESTAMPNS_NEW, _SO_TIMESTAMPNS_OLD)
STAMPS = {
    _SO_TIMESTAMPING_NEW: struct.Struct("=qq"),
    _SO_TIMESTAMPING_OLD: struct.Struct("@ll"),
    _SO_TIMESTAMPNS_NEW: struct.Struct("=qq"),
    _SO_TIMESTAMPNS_OLD: struct.Struct("@ll"),
}
IN_PKTINFO = struct.Struct("@i4s4s")  # interface, our address for the answer, address in the packet
IN6_PKTINFO = struct.Struct("@16sI")

ANCILLARY_SIZE = socket.CMSG_SPACE(3 * 16) + socket.CMSG_SPACE(IN6_PKTINFO.size)
"""Bytes that `recvmsg` needs for a receive timestamp and the packet information."""


class LocalAddress(NamedTuple):
    """The address of ours that was asked: packed, with the interface's index where the address alone is not enough."""

    packed: bytes
    interface: int


def enable_receive_timestamps(endpoint: socket.socket) -> bool:
    """Have the kernel stamp each datagram on arrival; False where it cannot."""
    for option in _OPTIONS:
        with contextlib.suppress(OSError):
            endpoint.setsockopt(socket.SOL_SOCKET, option, 1)
            return True
    return False


def enable_departure_timestamps(endpoint: socket.socket) -> bool:
    """Have the kernel stamp datagrams both ways, and tell of ICMP errors; False where it cannot stamp departures."""
    ipv6 = endpoint.family == socket.AF_INET6
    level, option = (socket.IPPROTO_IPV6, _IPV6_RECVERR) if ipv6 else (socket.IPPROTO_IP, _IP_RECVERR)
    with contextlib.suppress(OSError):
        endpoint.setsockopt(level, option, 1)
    for option in (_SO_TIMESTAMPING_NEW, _SO_TIMESTAMPING_OLD):
        with contextlib.suppress(OSError):
            endpoint.setsockopt(socket.SOL_SOCKET, option, _RX_SOFTWARE | _DEPARTURES)
            return True
    return False


def departure_time(endpoint: socket.socket) -> HostNs | None:
    """When a datagram left, from the next message of the error queue; None where there is none, or another one.

    The socket is a non-blocking one.
    """
    try:
        _, ancillary, _, _ = endpoint.recvmsg(0, 256, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
    except OSError:
        return None
    stamped = any(
        (level, kind) in {(socket.IPPROTO_IP, _IP_RECVERR), (socket.IPPROTO_IPV6, _IPV6_RECVERR)}
        and data[4:5] == bytes((_ORIGIN_TIMESTAMPING,))
        for level, kind, data in ancillary
    )
    return receive_time(ancillary) if stamped else None


def receive_time(ancillary: Sequence[ControlMessage]) -> HostNs | None:
    """When the kernel took the datagram in; None where it has not said: then the caller reads the clock.

    That happens even with stamps enabled: the kernel switches them on in the background, some packets later.
    """
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind in STAMPS and len(data) >= (layout := STAMPS[kind]).size:
            seconds, nanoseconds = layout.unpack_from(data)
            return HostNs(seconds * NS_PER_SECOND + nanoseconds) if seconds else None
    return None


def enable_packet_info(endpoint: socket.socket) -> None:
    """Have the kernel say at which of our addresses each datagram arrived."""
    if endpoint.family == socket.AF_INET6:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        endpoint.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)


def sole_address(endpoint: socket.socket) -> LocalAddress | None:
    """The address of ours that a bound socket's datagrams all come to; None where they come to any and must say so."""
    host, _, *rest = endpoint.getsockname()
    packed = socket.inet_pton(endpoint.family, host.partition("%")[0])
    return LocalAddress(packed, rest[1] if rest else 0) if any(packed) else None


def local_address(ancillary: Sequence[ControlMessage]) -> LocalAddress | None:
    """Which of our addresses was asked; None where the kernel has not said or a multicast group was."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO and len(data) >= IN_PKTINFO.size:
            return LocalAddress(IN_PKTINFO.unpack_from(data)[1], 0)
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(data) >= IN6_PKTINFO.size:
            packed, interface = IN6_PKTINFO.unpack_from(data)
            return None if packed[0] == 0xFF else LocalAddress(packed, interface if is_link_local(packed) else 0)
    return None


def packet_info_control(local: LocalAddress | None) -> list[ControlMessage]:
    """Ancillary data for `sendmsg` that makes an answer come from the address that was asked."""
    if local is None:
        return []
    if len(local.packed) == 4:
        return [(socket.IPPROTO_IP, IP_PKTINFO, IN_PKTINFO.pack(local.interface, local.packed, bytes(4)))]
    return [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, IN6_PKTINFO.pack(local.packed, local.interface))]


def is_link_local(packed: bytes) -> bool:
    """Only there the interface belongs to the address; elsewhere, naming it would bypass routing."""
    return packed[0] == 0xFE and packed[1] & 0xC0 == 0x80
