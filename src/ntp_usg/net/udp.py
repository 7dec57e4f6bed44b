"""The sockets that requests come in on, opened so that nobody shares them and every packet says when and whereto."""

import errno
import logging
import socket
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from ntp_usg.core.base.addresses import ListenAddress, parse_listen_address
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.addresses import SocketAddress, resolve
from ntp_usg.sysapi.interfaces import is_tentative
from ntp_usg.sysapi.port_holder import find_holder
from ntp_usg.sysapi.steering import steer_by_source
from ntp_usg.sysapi.timestamping import enable_packet_info, enable_receive_timestamps, sole_address

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel may queue for us: about 5000 requests, so that a busy moment loses none."""

# asm-generic/socket.h, linux/in.h and linux/in6.h; Python does not name them
_SO_RCVBUFFORCE = 33
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_IPV6_FREEBIND = 78

_ANY = {"0.0.0.0", "::"}  # noqa: S104 - to be recognised

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """One socket to open: which listen address it is for, and what to bind."""

    address: ListenAddress
    family: socket.AddressFamily
    where: SocketAddress

    @property
    def interface(self) -> str:
        """The interface that the socket belongs to; when that is removed and made again, the socket stays deaf."""
        return self.address.interface or (self.address.host or "").partition("%")[2]

    @property
    def host(self) -> str:
        return str(self.where[0])

    def includes(self, other: "Place") -> bool:
        """Whether a socket here gets what is sent to the other place, too."""
        alike = self.family == other.family and self.where[1] == other.where[1] != 0
        return alike and self.host in _ANY and not self.interface and self != other

    def excludes(self, other: "Place") -> bool:
        """Whether the kernel refuses to open both."""
        alike = self.family == other.family and self.where[1] == other.where[1] != 0
        same_interface = not self.interface or not other.interface or self.interface == other.interface
        return alike and same_interface and (self.host == other.host or bool(_ANY & {self.host, other.host}))


def find_places(addresses: Iterable[str]) -> list[Place]:
    """A place for each address, two for an interface, none for what another one includes.

    Raises NtpUsgError with what to do about it where there is none or two exclude each other; ValueError at a text that
    is no listen address.
    """
    wanted = [parse_listen_address(text) for text in addresses]
    places = [Place(address, *each) for address in wanted for each in resolve(address)]
    if not _kernel_has_ipv6():  # "all of IPv6" is nothing then
        places = [place for place in places if place.host != "::"]
    if not places:
        raise NtpUsgError("nothing to listen on: this kernel has no IPv6, and no IPv4 address is configured")
    kept = [place for place in places if not any(other.includes(place) for other in places)]
    for place in (place for place in places if place not in kept):
        log.info("%s needs no socket of its own: an address for all interfaces includes it", place.address)
    for first, second in combinations(kept, 2):
        if first.excludes(second):
            both = f"{first.address} and {second.address}"
            raise NtpUsgError(f"cannot listen on both {both}: leave out one of them in server.listen_addr")
    return kept


def open_socket_sets(addresses: Iterable[str], number: int, *, dscp: int = 0) -> list[list[socket.socket]]:
    """As many sets of the same sockets, for as many workers; each client's requests all go to one of them.

    Raises as `open_sockets` does.
    """
    return open_places(find_places(addresses), number, dscp=dscp)


def open_places(places: Sequence[Place], number: int, *, dscp: int = 0) -> list[list[socket.socket]]:
    """The same for places. Raises NtpUsgError."""
    if number == 1:
        return [_open_all(places, dscp, shared=False)]
    for sock in _open_all(places, dscp, shared=False):  # alone: the ports are nobody else's
        sock.close()
    sets: list[list[socket.socket]] = []
    try:
        while len(sets) < number:
            sets += [_open_all(places, dscp, shared=True)]
    except NtpUsgError:
        for sock in (sock for each in sets for sock in each):
            sock.close()
        raise
    for sock in sets[0]:
        steer_by_source(sock, number)
    return sets


def open_sockets(addresses: Iterable[str], *, dscp: int = 0, shared: bool = False) -> list[socket.socket]:
    """Bind a non-blocking UDP socket for each address, two for an interface.

    No address reuse of any kind, unless `shared` among our own workers: Linux would let a second server share the port
    and take some of the requests.
    Raises NtpUsgError with what to do about it; none stays open then. ValueError at a text that is no listen address.
    """
    return _open_all(find_places(addresses), dscp, shared=shared)


def _open_all(places: Iterable[Place], dscp: int, *, shared: bool) -> list[socket.socket]:
    opened: list[socket.socket] = []
    try:
        opened.extend(_open(place, dscp, shared=shared) for place in places)
    except NtpUsgError:
        for sock in opened:
            sock.close()
        raise
    return opened


def _open(place: Place, dscp: int, *, shared: bool) -> socket.socket:
    try:
        sock = socket.socket(place.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise NtpUsgError(f"cannot listen on {place.address}: {error.strerror}") from error
    try:
        _configure(sock, dscp)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if place.address.interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, place.address.interface.encode())
        if place.family == socket.AF_INET6 and is_tentative(place.host):
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)  # requests come once the kernel has checked it
        sock.bind(place.where)
        if sole_address(sock) is None:
            enable_packet_info(sock)
    except OSError as error:
        sock.close()
        raise NtpUsgError(_advice(place, error)) from error
    return sock


def _kernel_has_ipv6() -> bool:
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError:
        return False
    return True


def _configure(sock: socket.socket, dscp: int) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, dscp << 2)
    else:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, dscp << 2)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:  # without CAP_NET_ADMIN: as much as net.core.rmem_max grants
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
    never_fragment(sock)
    enable_receive_timestamps(sock)


def never_fragment(sock: socket.socket) -> None:
    """Send nothing in fragments, whatever ICMP, which anybody can forge, says of the path: our packets fit everywhere.

    Who can forge one fragment of an answer has forged it. Besides, the kernel has less to look up for each.
    """
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)


def _advice(place: Place, error: OSError) -> str:
    refusal, port = f"cannot listen on {place.address}", place.address.port
    match error.errno:
        case errno.EADDRINUSE:
            return f"{refusal}: port {port} is in use by {find_holder(place.family, place.host, port)}"
        case errno.EACCES | errno.EPERM:
            return f"{refusal}: ports below 1024 and interfaces need CAP_NET_BIND_SERVICE, CAP_NET_RAW or root"
        case errno.EADDRNOTAVAIL:
            return f"{refusal}: no interface of this machine has that address"
        case _:
            return f"{refusal}: {error.strerror}"
