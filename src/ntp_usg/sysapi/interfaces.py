"""The network interfaces of this machine and their addresses, as the kernel lists them (rtnetlink(7))."""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr: length, type, flags, sequence, port
_LINK = struct.Struct("=BxHiII")  # struct ifinfomsg: family, type, index, flags, change
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg: family, prefix, flags, scope, index
_ATTRIBUTE = struct.Struct("=HH")
_ERROR, _DONE, _GET_LINK, _GET_ADDRESS = 2, 3, 18, 22
_DUMP_REQUEST = 0x301
_NESTED = 0x8000

_LINK_MAC, _LINK_NAME, _LINK_PARENT, _LINK_INFO, _LINK_OTHER_NAMESPACE = 1, 3, 5, 18, 37
_INFO_KIND, _INFO_DATA, _VLAN_ID, _VLAN_PROTOCOL = 1, 2, 1, 5
_ANY_ADDRESS, _LOCAL_ADDRESS, _BROADCAST_ADDRESS, _ADDRESS_FLAGS = 1, 2, 4, 8
_TENTATIVE = 0x40
_NOT_YET_OURS = _TENTATIVE | 0x08  # IFA_F_TENTATIVE, IFA_F_DADFAILED (RFC 4862)
_LONGEST = 1 << 17


@dataclass(frozen=True, slots=True)
class Interface:
    """One interface; of a VLAN also on which interface it lies, and how its frames are tagged there (802.1Q)."""

    index: int
    name: str
    mac: bytes
    addresses: tuple[bytes, ...]
    """Packed ones of both families that are in use."""
    parent: int = 0
    vlan: int | None = None
    vlan_protocol: int = 0
    broadcasts: tuple[bytes, ...] = ()
    """The packed addresses by which all of its networks are meant."""


def read_interfaces() -> dict[int, Interface]:
    """All of this network namespace, by index. Raises OSError where the kernel does not tell."""
    addresses: dict[int, list[bytes]] = {}
    broadcasts: dict[int, list[bytes]] = {}
    for message in _dump(_GET_ADDRESS, _ADDRESS.pack(0, 0, 0, 0, 0)):
        _, prefix, flags, _, index = _ADDRESS.unpack_from(message)
        found = dict(_attributes(message[_ADDRESS.size :]))
        flags = int.from_bytes(found.get(_ADDRESS_FLAGS, bytes([flags])), "little")
        address = found.get(_LOCAL_ADDRESS) or found.get(_ANY_ADDRESS)
        if address and not flags & _NOT_YET_OURS:
            addresses.setdefault(index, []).append(address)
            broadcasts.setdefault(index, []).extend(_broadcasts(address, prefix, found))
    interfaces = {}
    for message in _dump(_GET_LINK, _LINK.pack(0, 0, 0, 0, 0)):
        index = _LINK.unpack_from(message)[2]
        found = dict(_attributes(message[_LINK.size :]))
        name = found[_LINK_NAME].rstrip(b"\0").decode(errors="replace")
        parent, vlan, protocol = _vlan(found) or (0, None, 0)
        interfaces[index] = Interface(
            index,
            name,
            found.get(_LINK_MAC, b""),
            tuple(addresses.get(index, ())),
            parent,
            vlan,
            protocol,
            tuple(broadcasts.get(index, ())),
        )
    return interfaces


def is_tentative(host: str) -> bool:
    """Whether an interface has this IPv6 address, but the kernel still checks that no other machine does (RFC 4862)."""
    wanted = ip_address(host.partition("%")[0]).packed
    try:
        for message in _dump(_GET_ADDRESS, _ADDRESS.pack(socket.AF_INET6, 0, 0, 0, 0)):
            found = dict(_attributes(message[_ADDRESS.size :]))
            flags = int.from_bytes(found.get(_ADDRESS_FLAGS, bytes([message[2]])), "little")
            if found.get(_ANY_ADDRESS) == wanted and flags & _NOT_YET_OURS == _TENTATIVE:
                return True
    except OSError:  # the kernel does not tell: bind() will
        pass
    return False


def _broadcasts(address: bytes, prefix: int, found: dict[int, bytes]) -> Iterator[bytes]:
    """The last address of an IPv4 network of more than two (RFC 3021), and what somebody has set in its place."""
    if len(address) == 4 and prefix < 31:
        yield ip_network((address, prefix), strict=False).broadcast_address.packed
        if set_address := found.get(_BROADCAST_ADDRESS):
            yield set_address


def _vlan(link: dict[int, bytes]) -> tuple[int, int, int] | None:
    """Parent, number and protocol of a VLAN on an interface of this namespace; None for anything else."""
    info = dict(_attributes(link.get(_LINK_INFO, b"")))
    if info.get(_INFO_KIND, b"").rstrip(b"\0") != b"vlan" or _LINK_OTHER_NAMESPACE in link:
        return None
    data = dict(_attributes(info.get(_INFO_DATA, b"")))
    parent, number = (struct.unpack("=I", link[_LINK_PARENT])[0], struct.unpack("=H", data[_VLAN_ID])[0])
    return parent, number, int.from_bytes(data[_VLAN_PROTOCOL], "big")


def _dump(kind: int, request: bytes) -> Iterator[bytes]:
    """The bodies of the messages that the kernel answers with."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE) as netlink:
        netlink.send(_HEADER.pack(_HEADER.size + len(request), kind, _DUMP_REQUEST, 1, 0) + request)
        while True:
            data = netlink.recv(_LONGEST)
            while data:
                length, answer, *_ = _HEADER.unpack_from(data)
                body, data = data[_HEADER.size : length], data[_aligned(length) :]
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    number = -struct.unpack_from("=i", body)[0]
                    raise OSError(number, f"rtnetlink: {os.strerror(number)}")
                yield body


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        yield kind & ~_NESTED, data[_ATTRIBUTE.size : length]
        data = data[_aligned(max(length, _ATTRIBUTE.size)) :]


def _aligned(length: int) -> int:
    return -(-length // 4) * 4
