"""Who holds a UDP port, as far as /proc lets us see: another user's sockets show to root only."""

import contextlib
import glob
import socket
import sys
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from pathlib import Path

_TABLES = {socket.AF_INET: "/proc/net/udp", socket.AF_INET6: "/proc/net/udp6"}


def find_holder(family: socket.AddressFamily, host: str, port: int) -> str:
    """The program whose socket keeps us from binding this address; in words where it can't be seen."""
    wanted = ip_address(host.partition("%")[0]).packed
    bound = {f"socket:[{inode}]" for inode in _in_the_way(family, wanted, port)}
    for link in map(Path, glob.iglob("/proc/[0-9]*/fd/*")):  # noqa: PTH207 - this one survives processes that vanish
        with contextlib.suppress(OSError):
            if str(link.readlink()) in bound:
                process = link.parent.parent
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return f"another program (`sudo ss -ulnp sport = :{port}` names it)"


def _in_the_way(family: socket.AddressFamily, wanted: bytes, port: int) -> Iterator[str]:
    """Inodes of the sockets on this port at this address, or where one of both is for all addresses."""
    for other, path in _TABLES.items():
        if other == socket.AF_INET and family == socket.AF_INET6:
            continue  # our sockets of IPv6 leave IPv4 alone
        with contextlib.suppress(OSError):  # no /proc, or not all of it
            for line in Path(path).read_text().splitlines()[1:]:
                fields = line.split()
                address, _, its_port = fields[1].partition(":")
                if int(its_port, 16) == port and _meet(wanted, parse_kernel_address(address)):
                    yield fields[9]


def _meet(wanted: bytes, other: bytes) -> bool:
    return wanted == other or not any(wanted) or not any(other)


def parse_kernel_address(text: str) -> bytes:
    """An address as /proc writes it, in words of the machine's order; IPv4 ones in IPv6 clothes become IPv4."""
    words = (int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    packed = b"".join(word.to_bytes(4, _ORDER) for word in words)
    mapped = IPv6Address(packed).ipv4_mapped if len(packed) == 16 else None
    return mapped.packed if mapped else packed


_ORDER = sys.byteorder
