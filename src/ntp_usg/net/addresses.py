"""What people write as a listen address, and what it asks the kernel for."""

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import cast

from ntp_usg.core.base.errors import NtpUsgError

NTP_PORT = 123

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""An address of IPv4 or IPv6 as Python's sockets take and give it."""

_SHAPE = re.compile(
    r"""\[(?P<bracketed>[^\[\]]+)\](?::(?P<port6>\d{1,5}))?   # [::]:123
      | (?P<bare6>[^\[\]]*:[^\[\]]*:[^\[\]]*)                 # ::1, which leaves no room for a port
      | (?P<plain>[^\[\]:]+)(?::(?P<port>\d{1,5}))?           # 0.0.0.0:123, eth0:123""",
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A numeric address, or every address of an interface where `host` is None."""

    host: str | None
    interface: str | None
    port: int

    def __str__(self) -> str:
        host = self.host or self.interface or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_listen_address(text: str) -> ListenAddress:
    """Read `0.0.0.0:123`, `[::]:123`, `::1`, `eth0:123` or `eth0`; the port is 123 where none is given.

    Raises NtpUsgError for anything else: whether an interface of that name exists is found out on opening.
    """
    shape = _SHAPE.fullmatch(text.strip())
    if not shape:
        raise NtpUsgError(f"`{text}` is no listen address: write 0.0.0.0:123, [::]:123, an address or an interface")
    port = int(shape["port6"] or shape["port"] or NTP_PORT)
    if port > 65535:
        raise NtpUsgError(f"listen address `{text}`: a port is a number up to 65535")
    host = shape["bracketed"] or shape["bare6"] or shape["plain"]
    if _is_numeric(host):
        return ListenAddress(host, None, port)
    if not shape["plain"] or "." in host:
        raise NtpUsgError(
            f"listen address `{text}`: `{host}` is no IPv4 or IPv6 address (host names are not looked up)"
        )
    return ListenAddress(None, host, port)


def resolve(address: ListenAddress) -> list[tuple[socket.AddressFamily, SocketAddress]]:
    """The socket addresses to bind: two for an interface, one otherwise.

    Raises NtpUsgError where the interface does not exist.
    """
    if address.host is None:
        _require_interface(address)
        return [(socket.AF_INET, ("0.0.0.0", address.port)), (socket.AF_INET6, ("::", address.port))]  # noqa: S104 - narrowed by SO_BINDTODEVICE
    try:
        host = address.host.encode()  # as text it would go through IDNA, whose errors are others
        [(family, _, _, _, where)] = socket.getaddrinfo(
            host, address.port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST
        )
    except OSError as error:
        raise NtpUsgError(f"cannot listen on {address}: {error.strerror}") from error
    return [(family, cast("SocketAddress", where))]  # which leaves out a Python built without IPv6


def _is_numeric(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _require_interface(address: ListenAddress) -> None:
    names = [name for _, name in socket.if_nameindex()]
    if address.interface not in names:
        raise NtpUsgError(f"cannot listen on {address}: no such interface; this machine has {', '.join(names)}")
