"""Names to addresses, without anybody having to wait for a name server that is dead."""

import socket
from typing import cast

from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.sysapi.threads import in_own_thread

Found = list[SocketAddress] | str
"""The addresses of a server in the order to try them, or why there is none."""


def resolve(server: ServerAddress) -> Found:
    """Look a server up; this waits for name servers, but for a numeric address it does not."""
    host = server.host.encode()  # as text it would go through IDNA, whose errors are others
    try:
        found = socket.getaddrinfo(host, server.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        return f"unknown host: {error.strerror}"
    return [cast("SocketAddress", address) for *_, address in found]


async def look_up(server: ServerAddress) -> Found:
    """Look a server up while everything else goes on."""
    try:
        return await in_own_thread(lambda: resolve(server), f"look-up of {server.host}")
    except OSError as error:
        return f"its name cannot be looked up: {error.strerror}"
