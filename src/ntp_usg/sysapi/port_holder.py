"""Who holds a UDP port, as far as /proc lets us see: another user's sockets show to root only."""

import contextlib
import glob
import os
import socket
import sys
from collections.abc import Collection, Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import NamedTuple

_TABLES = {socket.AF_INET: "/proc/net/udp", socket.AF_INET6: "/proc/net/udp6"}


class _Bound(NamedTuple):
    """One socket: the address it is bound to, packed, and its inode."""

    family: socket.AddressFamily
    address: bytes
    port: int
    inode: str


def find_holder(family: socket.AddressFamily, host: str, port: int) -> str:
    """The program whose socket keeps us from binding this address; in words where it can't be seen."""
    wanted = ip_address(host.partition("%")[0]).packed
    for pid in _processes_with(each.inode for each in _sockets() if _is_in_the_way(each, family, wanted, port)):
        with contextlib.suppress(OSError):
            return f"{Path(f'/proc/{pid}/comm').read_text().strip()} (process {pid})"
    return f"another program (`sudo ss -ulnp sport = :{port}` names it)"


def find_holders(ports: Collection[int]) -> set[int]:
    """The process ids of all that have one of these ports open at any address."""
    return set(_processes_with(each.inode for each in _sockets() if each.port in ports))


def _sockets() -> Iterator[_Bound]:
    """The UDP sockets of this machine; none where /proc does not show them."""
    for family, path in _TABLES.items():
        with contextlib.suppress(OSError):
            for line in Path(path).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, port = fields[1].partition(":")
                yield _Bound(family, parse_kernel_address(address), int(port, 16), fields[9])


def _processes_with(inodes: Iterator[str]) -> Iterator[int]:
    """The processes that have one of these sockets open, as often as they have it."""
    links = {f"socket:[{inode}]" for inode in inodes}
    for link in glob.iglob("/proc/[0-9]*/fd/*") if links else ():  # noqa: PTH207 - it survives processes that vanish
        with contextlib.suppress(OSError):
            if os.readlink(link) in links:  # noqa: PTH115 - thousands of them
                yield int(link.split("/")[2])


def _is_in_the_way(bound: _Bound, family: socket.AddressFamily, wanted: bytes, port: int) -> bool:
    """Whether a socket is on this port at this address, or one of both is for all addresses."""
    if bound.family == socket.AF_INET and family == socket.AF_INET6:
        return False  # our sockets of IPv6 leave IPv4 alone
    return bound.port == port and _meet(wanted, bound.address)


def _meet(wanted: bytes, other: bytes) -> bool:
    return wanted == other or not any(wanted) or not any(other)


def parse_kernel_address(text: str) -> bytes:
    """An address as /proc writes it, in words of the machine's order; IPv4 ones in IPv6 clothes become IPv4."""
    words = (int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    packed = b"".join(word.to_bytes(4, _ORDER) for word in words)
    mapped = IPv6Address(packed).ipv4_mapped if len(packed) == 16 else None
    return mapped.packed if mapped else packed


_ORDER = sys.byteorder
