"""The way to the servers that we ask: names to addresses, and for each request a socket that nobody can foresee."""

import asyncio
import logging
import socket
import time
from collections.abc import Callable, Mapping
from ipaddress import ip_address

from ntp_usg.core.associations.addresses import AddressBook
from ntp_usg.core.base.addresses import ServerAddress, numeric_address
from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.snapshots import ServerPath
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.net.lookup import Found, look_up, resolve
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
MAX_ANSWERS = 256
"""Datagrams read from one socket: who forges the server's address and found its port cannot keep us busy through it."""
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

    def leave(self, association: str, why: str, *, for_ever: bool = False) -> None:
        """Send the next request to another address of the name; `for_ever` where this one has refused us."""
        self._paths[association].leave(why, for_ever=for_ever)

    def network_returned(self) -> None:
        """An interface, an address or a route has come: what failed before may work now."""
        for path in self._paths.values():
            path.network_returned()

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
        self._book: AddressBook[SocketAddress] = AddressBook()
        self._pending: bytes | None = None
        self._lookup: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None
        self._window: asyncio.TimerHandle | None = None
        self._answers_left = 0
        self._sent_at = HostNs(0)
        self._local_port = 0

    @property
    def address(self) -> str | None:
        return self._book.current[0] if self._book.current else None

    @property
    def ends(self) -> ServerPath | None:
        if self._book.current is None:
            return None
        address, port = self._book.current[:2]
        local = None if self.local is None else str(ip_address(self.local))
        return ServerPath(address, port, local, self._local_port)

    def send(self, data: bytes) -> None:
        self._hang_up()
        if self._book.wants_lookup(_now()):
            self._pending = data
            self._look_up()
        elif not self._depart(data):
            self._pending = data  # for the look-up that is under way

    def leave(self, why: str, *, for_ever: bool) -> None:
        self._hang_up()
        address = self.address
        if self._book.leave(_now(), for_ever=for_ever):
            log.warning("%s: leaves its address %s: %s", self._server, address, why)

    def network_returned(self) -> None:
        self._book.forgive()
        if self._lookup is not None:  # it waits for an answer that will never come
            self._lookup.cancel()
            self._lookup = None

    def close(self) -> None:
        self._hang_up()
        if self._lookup is not None:
            self._lookup.cancel()

    def _look_up(self) -> None:
        if self._inline:
            self._found(resolve(self._server))
        elif self._lookup is None:
            self._lookup = asyncio.get_running_loop().create_task(self._await_lookup())

    async def _await_lookup(self) -> None:
        found = await look_up(self._server)
        self._lookup = None
        self._found(found)

    def _found(self, found: Found) -> None:
        pending, self._pending = self._pending, None
        if isinstance(found, str):
            self._notice(found)
        else:
            self._book.found(found)
        if pending is not None:
            self._depart(pending)

    def _depart(self, data: bytes) -> bool:
        """Send to the address whose turn it is, or to the next one that can be sent to; False where none is known."""
        if self._book.refused:
            self._notice("every address has refused us: ask the server's operator, or remove it")
        tried = set()
        while (where := self._book.choose(_now())) is not None and where not in tried:
            tried.add(where)
            try:
                self._socket = self._sent(data, where)
            except OSError as error:
                self._notice(f"cannot be reached: {error.strerror}")
                self._book.leave(_now())
            else:
                self._await_answer(self._socket)
                break
        return where is not None

    def _await_answer(self, endpoint: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(endpoint, self._readable, endpoint)
        self._window = loop.call_later(ANSWER_WINDOW, self._hang_up)
        self._answers_left = MAX_ANSWERS
        # Most often the kernel has stamped it by now; otherwise the stamp comes with the answer, or never.
        self._departed(self._name, self._stamped_departure(endpoint) or self._sent_at)

    def _sent(self, data: bytes, where: SocketAddress) -> socket.socket:
        """RFC 9109: the port is the kernel's choice, and another one for each request.

        The socket is connected, so that the kernel drops what others send to its port.
        """
        family = socket.AF_INET if len(where) == 2 else socket.AF_INET6
        endpoint = socket.socket(family, socket.SOCK_DGRAM)
        try:
            endpoint.settimeout(0.0)
            enable_packet_info(endpoint)
            if not (self._departures_stamped and enable_departure_timestamps(endpoint)):
                enable_receive_timestamps(endpoint)
            endpoint.connect(where)
            self._sent_at = HostNs(time.time_ns())
            endpoint.send(data)
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
        stamp = self._stamped_departure(endpoint)  # also empties the error queue, which would wake us for ever
        if stamp is not None:
            self._departed(self._name, stamp)
        if received is not None:
            self._take(*received[:2])

    def _take(self, data: bytes, ancillary: list[ControlMessage]) -> None:
        self._answers_left -= 1
        if not self._answers_left:
            self._hang_up()
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


def _now() -> MonoNs:
    return MonoNs(time.monotonic_ns())
