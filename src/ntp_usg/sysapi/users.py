"""Users of this machine: who writes to us, and whom the configuration trusts."""

import ipaddress
import pwd
import socket
import sys
from pathlib import Path

from ntp_usg.core.base.errors import DeviceError

TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LOCAL, _REMOTE, _USER, _INODE = 1, 2, 7, 9
"""Columns of those (Linux, proc_net_tcp.rst)."""

Endpoint = tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]


def find_users(name: str | None) -> set[int]:
    """The number of a user, by name, where one is named; raises DeviceError where there is no such user."""
    if name is None:
        return set()
    try:
        return {pwd.getpwnam(name).pw_uid}
    except KeyError:
        raise DeviceError(f"owner = {name!r}: this machine has no such user") from None


def user_of_peer(link: socket.socket) -> int | None:
    """Who holds the other end of a TCP connection within this machine; None where that cannot be told.

    To be asked when the other end has sent something: before, nobody may have accepted the connection.
    """
    try:
        ours, theirs = _endpoint(link.getsockname()), _endpoint(link.getpeername())
        rows = [row for table in TABLES for row in _rows(table)]
    except (OSError, ValueError):
        return None
    for row in rows:
        # An end that was closed already has no inode, and counts as root's.
        if row[_INODE] != "0" and (_row_endpoint(row[_LOCAL]), _row_endpoint(row[_REMOTE])) == (theirs, ours):
            return int(row[_USER])
    return None


def _rows(table: Path) -> list[list[str]]:
    """What a table shows; a kernel without IPv6 lacks the second one."""
    try:
        return [line.split() for line in table.read_text(encoding="ascii").splitlines()[1:]]
    except FileNotFoundError:
        return []


def _endpoint(name: tuple[str, int]) -> Endpoint:
    return _plain(ipaddress.ip_address(name[0].partition("%")[0])), name[1]


def _row_endpoint(text: str) -> Endpoint:
    """`0100007F:0B83`: words of four bytes as the machine holds them."""
    address, port = text.split(":")
    words = bytes.fromhex(address)
    raw = b"".join(
        int.from_bytes(words[at : at + 4], "big").to_bytes(4, sys.byteorder) for at in range(0, len(words), 4)
    )
    return _plain(ipaddress.ip_address(raw)), int(port, 16)


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 address as such, also where an IPv6 socket has it."""
    return getattr(address, "ipv4_mapped", None) or address
