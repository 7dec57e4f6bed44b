"""What a listen address asks the kernel for."""

import socket
from typing import cast

from ntp_usg.core.base.addresses import ListenAddress
from ntp_usg.core.base.errors import NtpUsgError

SocketAddress = tuple[str, int] | tuple[str, int, int, int]
"""An address of IPv4 or IPv6 as Python's sockets take and give it."""


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


def _require_interface(address: ListenAddress) -> None:
    names = [name for _, name in socket.if_nameindex()]
    if address.interface not in names:
        raise NtpUsgError(f"cannot listen on {address}: no such interface; this machine has {', '.join(names)}")
