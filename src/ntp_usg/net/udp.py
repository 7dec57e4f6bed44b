"""The sockets that requests come in on, opened so that nobody shares them and every packet says when and whereto."""

import contextlib
import errno
import glob
import socket
from collections.abc import Iterable
from pathlib import Path

from ntp_usg.core.base.addresses import ListenAddress, parse_listen_address
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.net.addresses import SocketAddress, resolve
from ntp_usg.sysapi.steering import steer_by_source
from ntp_usg.sysapi.timestamping import enable_packet_info, enable_receive_timestamps, sole_address

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes the kernel may queue for us: about 5000 requests, so that a busy moment loses none."""

# asm-generic/socket.h, linux/in.h and linux/in6.h; Python does not name them
_SO_RCVBUFFORCE = 33
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3


def open_socket_sets(addresses: Iterable[str], number: int, *, dscp: int = 0) -> list[list[socket.socket]]:
    """As many sets of the same sockets, for as many workers; each client's requests all go to one of them.

    Raises as `open_sockets` does.
    """
    wanted = list(addresses)
    if number == 1:
        return [open_sockets(wanted, dscp=dscp)]
    for sock in open_sockets(wanted, dscp=dscp):  # alone: the ports are nobody else's
        sock.close()
    sets: list[list[socket.socket]] = []
    try:
        while len(sets) < number:
            sets += [open_sockets(wanted, dscp=dscp, shared=True)]
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
    wanted = [parse_listen_address(text) for text in addresses]
    opened: list[socket.socket] = []
    try:
        for address in wanted:
            for family, where in resolve(address):
                if where[0] != "::" or _kernel_has_ipv6():  # "all of IPv6" is nothing where the kernel has none
                    opened.append(_open(address, family, where, dscp, shared=shared))
    except NtpUsgError:
        for sock in opened:
            sock.close()
        raise
    if not opened:
        raise NtpUsgError("nothing to listen on: this kernel has no IPv6, and no IPv4 address is configured")
    return opened


def _open(
    address: ListenAddress, family: socket.AddressFamily, where: SocketAddress, dscp: int, *, shared: bool
) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise NtpUsgError(f"cannot listen on {address}: {error.strerror}") from error
    try:
        _configure(sock, dscp)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if address.interface:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, address.interface.encode())
        sock.bind(where)
        if sole_address(sock) is None:
            enable_packet_info(sock)
    except OSError as error:
        sock.close()
        raise NtpUsgError(_advice(address, family, error)) from error
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


def _advice(address: ListenAddress, family: socket.AddressFamily, error: OSError) -> str:
    refusal = f"cannot listen on {address}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{refusal}: port {address.port} is in use by {_holder(family, address.port)}"
        case errno.EACCES | errno.EPERM:
            return f"{refusal}: ports below 1024 and interfaces need CAP_NET_BIND_SERVICE, CAP_NET_RAW or root"
        case errno.EADDRNOTAVAIL:
            return f"{refusal}: no interface of this machine has that address"
        case _:
            return f"{refusal}: {error.strerror}"


def _holder(family: socket.AddressFamily, port: int) -> str:
    """Who has the port, as far as /proc lets us see: another user's sockets show to root only."""
    with contextlib.suppress(OSError):  # no /proc, or not all of it
        table = Path("/proc/net/udp6" if family == socket.AF_INET6 else "/proc/net/udp").read_text()
        lines = (line.split() for line in table.splitlines()[1:])
        bound = {f"socket:[{fields[9]}]" for fields in lines if fields[1].endswith(f":{port:04X}")}
        for link in map(Path, glob.iglob("/proc/[0-9]*/fd/*")):  # noqa: PTH207 - this one survives processes that vanish
            with contextlib.suppress(OSError):
                if str(link.readlink()) in bound:
                    process = link.parent.parent
                    return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return f"another program (`sudo ss -ulnp sport = :{port}` names it)"
