"""What the kernel tells of interfaces, addresses and routes that come (rtnetlink(7)), to whoever listens."""

import errno
import socket
import struct

_HEADER = struct.Struct("=IH")  # the beginning of struct nlmsghdr: length, type
_LINK_FLAGS = struct.Struct("=I")
_LINK_FLAGS_OFFSET = 16 + 8  # after struct nlmsghdr, in struct ifinfomsg
_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 20, 24
_RUNNING = 0x40
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_: links, and the addresses and routes of IPv4 and IPv6."""
_KERNEL = 0
_LONGEST = 1 << 16
_MOST = 64
"""Datagrams read at a time: a router learns thousands of routes in a second."""


def open_network_news() -> socket.socket:
    """A socket that becomes readable when something changes. Raises OSError where the kernel does not tell."""
    endpoint = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        endpoint.settimeout(0.0)
        endpoint.bind((0, _GROUPS))
    except OSError:
        endpoint.close()
        raise
    return endpoint


def network_came(endpoint: socket.socket) -> bool:
    """Read what has arrived: whether an interface runs, or an address or a route is there that was not before."""
    came = False
    for _ in range(_MOST):
        try:
            data, (sender, _) = endpoint.recvfrom(_LONGEST)
            came |= sender == _KERNEL and tells_of_arrival(data)  # root's programs, too, can send here
        except BlockingIOError:
            break
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            came = True  # there was more than the kernel keeps for us
    return came


def tells_of_arrival(data: bytes) -> bool:
    """Whether one datagram of the kernel tells of something that has come; what goes away is of no interest."""
    while len(data) >= _HEADER.size:
        length, kind = _HEADER.unpack_from(data)
        if kind in (_NEW_ADDRESS, _NEW_ROUTE):
            return True
        if kind == _NEW_LINK and len(data) >= _LINK_FLAGS_OFFSET + _LINK_FLAGS.size:
            (flags,) = _LINK_FLAGS.unpack_from(data, _LINK_FLAGS_OFFSET)
            if flags & _RUNNING:
                return True
        data = data[max(-(-length // 4) * 4, _HEADER.size) :]
    return False
