"""Names to addresses, without anybody having to wait for a name server that is dead."""

import asyncio
import contextlib
import socket
import threading
from typing import cast

from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.net.addresses import SocketAddress

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
    """Look a server up in a thread of its own.

    getaddrinfo cannot be interrupted, and with a dead name server it takes tens of seconds. asyncio's own threads are
    waited for when the loop and when Python ends; a daemon thread ends with the process. A helper process would end as
    fast, but costs the memory of one.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Found] = loop.create_future()

    def deliver(found: Found) -> None:
        if not done.done():
            done.set_result(found)

    def work() -> None:
        found = resolve(server)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, found)

    threading.Thread(target=work, name=f"look-up of {server.host}", daemon=True).start()
    return await done
