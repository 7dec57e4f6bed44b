"""Which frames are for us: interface, VLAN tags, address and port, and the MAC address that they must be sent to."""

import socket
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ntp_usg.sysapi.interfaces import Interface

KEY = struct.Struct("=II16sI")
VALUE_BYTES = 8
_SERVICE_VLAN = 0x88A8
_MAPPED = bytes(10) + b"\xff\xff"
_TAGS_AT_MOST = 2


class Listener(NamedTuple):
    """What a socket of ours listens on: a packed address, all zeros for any, and an interface if it is bound to one."""

    address: bytes
    port: int
    interface: str = ""


def listeners(sockets: Iterable[socket.socket]) -> list[Listener]:
    """What some bound UDP sockets listen on."""
    found = []
    for sock in sockets:
        host, port, *_ = sock.getsockname()
        interface = sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0").decode()
        found.append(Listener(socket.inet_pton(sock.family, host.partition("%")[0]), port, interface))
    return found


def build_endpoints(
    interfaces: Mapping[int, Interface], names: Sequence[str], listening: Sequence[Listener]
) -> dict[bytes, bytes]:
    """Keys and values of the map `endpoints` for programs on the interfaces `names`.

    An address belongs to the VLAN that it is configured on: a frame whose tag the card has taken off matches nothing.
    """
    entries = {}
    for interface in interfaces.values():
        place = _place(interfaces, interface)
        if place is None or interfaces[place[0]].name not in names or len(interface.mac) != 6:
            continue
        for address, port in _ours(interface, listening):
            packed = _MAPPED + address if len(address) == 4 else address
            entries[KEY.pack(*place, packed, socket.htons(port))] = interface.mac + bytes(2)
    return entries


def never_sources(interfaces: Iterable[Interface]) -> set[bytes]:
    """Addresses that no frame from outside can come from, although a network has them: ours, and broadcast ones.

    The kernel's network stack, which the program is in front of, knows them as martians.
    """
    return {address for each in interfaces for address in (*each.addresses, *each.broadcasts)}


def _ours(interface: Interface, listening: Sequence[Listener]) -> Iterator[tuple[bytes, int]]:
    for listener in listening:
        if listener.interface in ("", interface.name):
            for address in interface.addresses:
                if len(address) == len(listener.address) and listener.address in (address, bytes(len(address))):
                    yield address, listener.port


def _place(interfaces: Mapping[int, Interface], interface: Interface) -> tuple[int, int] | None:
    """The interface that the frames come in on, and their tags as answer.c notes them, the outer one first."""
    tags = []
    while interface.vlan is not None:
        service = 0x1000 if interface.vlan_protocol == _SERVICE_VLAN else 0
        tags.append(0x8000 | service | interface.vlan)
        if len(tags) > _TAGS_AT_MOST or interface.parent not in interfaces:
            return None
        interface = interfaces[interface.parent]
    return interface.index, sum(tag << 16 * place for place, tag in enumerate(tags))
