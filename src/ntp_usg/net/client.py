"""The way to the servers that we ask: names to addresses, and for each request a socket that nobody can foresee."""

import asyncio
import logging
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import cast

from ntp_usg.core.base.addresses import ServerAddress, numeric_address
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.snapshots import ServerPath
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.sysapi.timestamping import (
    ANCILLARY_SIZE,
    ControlMessage,
    departure_time,
    enable_departure_timestamps,
    enable_packet_info,
    enable_receive_timestamps,
    local_address,
    receive_time,
)

log = logging.getLogger(__name__)

Departed = Callable[[str, HostNs], None]
"""Called with an association's name when its request has left; again, when the kernel says more exactly when."""
Answered = Callable[[str, bytes, HostNs], None]
"""Called with whatever comes back from the address that was asked, and when it did: it is not checked yet."""

ANSWER_WINDOW = 4.0
"""Seconds that a socket stays open for its answer."""
MAX_ANSWERS = 16
"""Datagrams read from one socket: somebody who found its port cannot keep us busy through it."""
TRIES = 4
"""Requests in a row without an answer before the server's next address is tried."""
MAX_ADDRESSES = 16
_BUFFER = 2048
_NEWEST_NS = 1_000_000_000
"""Stamps that are off by more were taken before the clock was stepped."""


class ClientEndpoints:
    """Sends requests to servers by association name; at most one socket is open for each.

    `only_select` is for simulators that replace the C library: names are then looked up while everything waits, for
    want of threads, and departures are not stamped, for want of an error queue.
    """

    def __init__(
        self,
        servers: Mapping[str, ServerAddress],
        departed: Departed,
        answered: Answered,
        *,
        only_select: bool = False,
    ) -> None:
        self._paths = {
            name: _Path(name, server, departed, answered, only_select=only_select) for name, server in servers.items()
        }

    def send(self, association: str, data: bytes) -> None:
        """Send a request from a port of its own, perhaps after a look-up; what cannot be sent is lost as any may be."""
        self._paths[association].send(data)

    def address(self, association: str) -> str | None:
        """The numeric address that is asked; None while none is known."""
        return self._paths[association].address

    def path(self, association: str) -> ServerPath | None:
        """The two ends of the latest exchange; None while no address is known."""
        return self._paths[association].ends

    def local_address(self, association: str) -> bytes | None:
        """Our own packed address as this server sees it, where nothing translates it; known once it has answered."""
        return self._paths[association].local

    def trouble(self, association: str) -> str | None:
        """Why requests do not get through, where this machine knows."""
        return self._paths[association].trouble

    def close(self) -> None:
        """Give up all look-ups and sockets."""
        for path in self._paths.values():
            path.close()


class _Path:
    """One server: its addresses, the one that is asked now, and the socket of the latest request."""

    def __init__(
        self, name: str, server: ServerAddress, departed: Departed, answered: Answered, *, only_select: bool
    ) -> None:
        self.trouble: str | None = None
        self.local: bytes | None = None
        self._name = name
        self._server = server
        self._departed = departed
        self._answered = answered
        self._inline = only_select or numeric_address(server.host) is not None
        self._departures_stamped = not only_select
        self._addresses: deque[SocketAddress] = deque()
        self._unanswered = 0
        self._pending: bytes | None = None
        self._lookup: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._window: asyncio.TimerHandle | None = None
        self._answers_left = 0
        self._sent_at = HostNs(0)
        self._local_port = 0

    @property
    def address(self) -> str | None:
        return self._addresses[0][0] if self._addresses else None

    @property
    def ends(self) -> ServerPath | None:
        if not self._addresses:
            return None
        address, port = self._addresses[0][:2]
        local = None if self.local is None else str(ip_address(self.local))
        return ServerPath(address, port, local, self._local_port)

    def send(self, data: bytes) -> None:
        self._hang_up()
        if self._unanswered >= TRIES:
            self._next_address()
        if self._addresses:
            self._depart(data)
            return
        self._pending = data
        if self._inline:
            self._found(_resolve(self._server))
        elif self._lookup is None:
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())

    def close(self) -> None:
        self._hang_up()
        if self._lookup is not None:
            self._lookup.cancel()

    async def _look_up(self) -> None:
        found = await asyncio.get_running_loop().run_in_executor(None, _resolve, self._server)
        self._lookup = None
        self._found(found)

    def _found(self, found: list[SocketAddress] | str) -> None:
        pending, self._pending = self._pending, None
        if isinstance(found, str):
            self._notice(found)
            return
        self._addresses.extend(found[:MAX_ADDRESSES])
        if pending is not None:
            self._depart(pending)

    def _next_address(self) -> None:
        """The addresses are tried in turn; after the last one they are looked up again, since they may have changed."""
        self._unanswered = 0
        if self._addresses:
            self._addresses.popleft()

    def _depart(self, data: bytes) -> None:
        while self._addresses:
            try:
                self._socket = self._sent(data, self._addresses[0])
            except OSError as error:
                self._notice(f"cannot be reached: {error.strerror}")
                self._next_address()
            else:
                break
        else:
            return
        loop = asyncio.get_running_loop()
        loop.add_reader(self._socket, self._readable, self._socket)
        self._window = loop.call_later(ANSWER_WINDOW, self._hang_up)
        self._answers_left = MAX_ANSWERS
        self._unanswered += 1
        # Most often the kernel has stamped it by now; otherwise the stamp comes with the answer, or never.
        self._departed(self._name, self._stamped_departure(self._socket) or self._sent_at)

    def _sent(self, data: bytes, where: SocketAddress) -> socket.socket:
        """RFC 9109: the port is the kernel's choice, and another one for each request."""
        family = socket.AF_INET if len(where) == 2 else socket.AF_INET6
        endpoint = socket.socket(family, socket.SOCK_DGRAM)
        try:
            endpoint.settimeout(0.0)
            enable_packet_info(endpoint)
            if not (self._departures_stamped and enable_departure_timestamps(endpoint)):
                enable_receive_timestamps(endpoint)
            self._sent_at = HostNs(time.time_ns())
            endpoint.sendto(data, where)
            self._local_port = endpoint.getsockname()[1]
        except OSError:
            endpoint.close()
            raise
        return endpoint

    def _stamped_departure(self, endpoint: socket.socket) -> HostNs | None:
        stamp = departure_time(endpoint) if self._departures_stamped else None
        return stamp if stamp is not None and 0 <= stamp - self._sent_at <= _NEWEST_NS else None

    def _readable(self, endpoint: socket.socket) -> None:
        """One datagram, or news of our own; the event loop calls again while there is more."""
        received = None
        try:
            received = endpoint.recvmsg(_BUFFER, ANCILLARY_SIZE)
        except BlockingIOError:
            pass
        except OSError as error:  # an ICMP error; reading the error queue first would lose it
            self._notice(f"cannot be reached: {error.strerror}")
            self._unanswered = TRIES
        stamp = self._stamped_departure(endpoint)  # also empties the error queue, which would wake us for ever
        if stamp is not None:
            self._departed(self._name, stamp)
        if received is not None:
            data, ancillary, _, sender = received
            self._take(data, ancillary, sender)

    def _take(self, data: bytes, ancillary: list[ControlMessage], sender: SocketAddress) -> None:
        self._answers_left -= 1
        if self._answers_left == 0:
            self._hang_up()
        if self._addresses and sender[:2] == self._addresses[0][:2]:
            self._unanswered = 0
            self._notice(None)
            local = local_address(ancillary)
            self.local = local.packed if local is not None else None
            self._answered(self._name, data, _arrival(receive_time(ancillary)))

    def _hang_up(self) -> None:
        if self._window is not None:
            self._window.cancel()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
        self._socket = self._window = None

    def _notice(self, trouble: str | None) -> None:
        if trouble != self.trouble and trouble is not None:
            log.warning("%s: %s", self._server, trouble)
        self.trouble = trouble


def _arrival(stamp: HostNs | None) -> HostNs:
    now = HostNs(time.time_ns())
    return stamp if stamp is not None and 0 <= now - stamp <= _NEWEST_NS else now


def _resolve(server: ServerAddress) -> list[SocketAddress] | str:
    """The addresses of a server, or why there is none."""
    host = server.host.encode()  # as text it would go through IDNA, whose errors are others
    try:
        found = socket.getaddrinfo(host, server.port, type=socket.SOCK_DGRAM)
    except OSError as error:
        return f"unknown host: {error.strerror}"
    return [cast("SocketAddress", address) for *_, address in found]
