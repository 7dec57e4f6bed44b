"""The addresses of this machine, for sources that turn out to be ourselves and servers that follow us."""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from ntp_usg.core.base.addresses import ListenAddress, numeric_address, parse_listen_address
from ntp_usg.core.wire.reference_id import address_reference
from ntp_usg.sysapi.environment import only_select
from ntp_usg.sysapi.interfaces import Interface, read_interfaces

Address = IPv4Address | IPv6Address


def _interfaces() -> Mapping[int, Interface]:
    """Those of this machine; a simulator that replaces the C library knows none."""
    return {} if only_select() else read_interfaces()


class OwnAddresses:
    """What the kernel said when it was last asked: `refresh` asks again."""

    def __init__(self, listen: Sequence[str], read: Callable[[], Mapping[int, Interface]] = _interfaces) -> None:
        self._listen = [parse_listen_address(each) for each in listen]
        self._read = read
        self._by_interface: dict[str, frozenset[Address]] = {}
        self.refresh()

    def refresh(self) -> None:
        """Look which addresses there are now; where the kernel does not tell, there are none."""
        try:
            interfaces = list(self._read().values())
        except OSError:
            interfaces = []
        self._by_interface = {each.name: frozenset(map(ip_address, each.addresses)) for each in interfaces}

    def answer_at(self, address: str, port: int) -> bool:
        """Whether what is sent to a numeric address and port of this machine is answered by us."""
        where = ip_address(numeric_address(address.partition("%")[0]) or address)
        return any(each.port == port and self._covers(each, where) for each in self._listen)

    def reference_ids(self, server: str) -> frozenset[bytes]:
        """What a server at a numeric address may call us when it follows us.

        Private addresses count only for private servers: elsewhere in the world others have the same ones.
        """
        remote = ip_address(numeric_address(server.partition("%")[0]) or server)
        return frozenset(
            address_reference(each.packed)
            for each in self._all()
            if not each.is_loopback and (each.is_global or not remote.is_global)
        )

    def _all(self) -> frozenset[Address]:
        return frozenset().union(*self._by_interface.values())

    def _covers(self, listen: ListenAddress, where: Address) -> bool:
        if listen.host is None:
            return where in self._by_interface.get(listen.interface or "", ())
        host = ip_address(listen.host.partition("%")[0])
        if not host.is_unspecified:
            return host == where
        return host.version == where.version and (where.is_loopback or where in self._all())
