"""Who gets an answer: first the deny list, then the allow list; whoever is refused gets silence (RFC 8633)."""

import re
from collections.abc import Collection, Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.server.policy import ServerPolicy

_MAPPED_PREFIX = bytes(10) + b"\xff\xff"
"""Of an IPv4 address as a dual-stack socket shows it (RFC 4291 section 2.5.5.2)."""


def unmapped(address: bytes) -> bytes:
    """A packed address, as IPv4 if it is an IPv4 one in IPv6 clothes: or the IPv4 rules could be walked around."""
    return address[12:] if address[:12] == _MAPPED_PREFIX else address


def parse_network(text: str) -> IPv4Network | IPv6Network:
    """A network as people write it: `192.0.2.0/24`, `2001:db8::/32`, or one address; IPv4-mapped ones become IPv4.

    Raises ValueError with a sentence for the person who wrote it.
    """
    try:
        network = ip_network(text)
    except ValueError as problem:
        raise ValueError(f"{problem}: write it like 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1") from None
    if "%" in text:
        raise ValueError(f"{text!r} names an interface, but access lists know addresses only")
    packed = network.network_address.packed
    if len(unmapped(packed)) != len(packed):
        return IPv4Network((unmapped(packed), network.prefixlen - 96))
    return network


class NetworkSet:
    """Networks to look addresses up in; the price is one dictionary look-up for each prefix length in use."""

    def __init__(self, networks: Iterable[str]) -> None:
        tables: dict[int, dict[int, dict[int, str]]] = {4: {}, 16: {}}
        for text in networks:
            size, number, shift = _parse_quickly(text) or _parse_thoroughly(text)
            tables[size].setdefault(shift, {})[number >> shift] = text
        self._tables = {size: sorted(by_shift.items()) for size, by_shift in tables.items()}

    def prefixes(self, size: int) -> Iterable[tuple[int, Collection[int]]]:
        """Networks of addresses of `size` bytes, by how many bits their numbers have been shifted right."""
        return self._tables[size]

    def borders(self, size: int) -> set[int]:
        """The addresses of `size` bytes at which an entry begins, or the first one after it."""
        return {
            border
            for shift, entries in self._tables[size]
            for number in entries
            for border in (number << shift, (number + 1) << shift)
            if border >> size * 8 == 0
        }

    def match(self, address: bytes) -> str | None:
        """The entry with the longest prefix that a packed address falls under, as it was written."""
        number = int.from_bytes(address, "big")
        for shift, entries in self._tables[len(address)]:
            entry = entries.get(number >> shift)
            if entry is not None:
                return entry
        return None


def _parse_thoroughly(text: str) -> tuple[int, int, int]:
    """Bytes of an address, the network's number, and how many of its last bits are free."""
    network = parse_network(text)
    return network.max_prefixlen // 8, int(network.network_address), network.max_prefixlen - network.prefixlen


def _parse_quickly(text: str) -> tuple[int, int, int] | None:
    """The same for IPv4 networks in their one spelling, ten times as fast: a reload must not keep clients waiting."""
    match = _PLAIN_IPV4.fullmatch(text)
    if match is None:
        return None
    first, second, third, fourth, length = map(int, match.groups())
    number = first << 24 | second << 16 | third << 8 | fourth
    in_range = max(first, second, third, fourth) < 256 and length <= 32
    return (4, number, 32 - length) if in_range and number % (1 << 32 - length) == 0 else None


_OCTET = r"(0|[1-9][0-9]{0,2})"
_PLAIN_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}/(0|[1-9][0-9]?)")


IMPOSSIBLE = ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::", "ff00::/8")
"""No host sends from these (RFC 1122 section 3.2.1.3, RFC 1112 section 4, RFC 4291 section 2.7): an answer would hit
many or none."""


class Access:
    """The lists of a policy, ready for look-ups. Raises ValueError at a network that can't be parsed."""

    def __init__(self, policy: ServerPolicy) -> None:
        self._impossible, self._deny = NetworkSet(IMPOSSIBLE), NetworkSet(policy.deny)
        self._allow = None if policy.allow is None else NetworkSet(policy.allow)
        self._monitor = NetworkSet(policy.monitor)

    def borders(self, size: int) -> list[int]:
        """Where in the space of addresses of `size` bytes the verdict on requests for the time may change."""
        borders = self._impossible.borders(size) | self._deny.borders(size)
        return sorted(borders | (self._allow.borders(size) if self._allow else set()))

    def refusals(self) -> tuple[tuple[Reason, NetworkSet], ...]:
        """Why those within a set get no answer; an address is judged by the first set that it falls under."""
        return (Reason.BAD_SOURCE, self._impossible), (Reason.ACCESS_DENIED, self._deny)

    @property
    def allowed(self) -> NetworkSet | None:
        """Who of the others gets one; None means everybody."""
        return self._allow

    def refusal(self, address: bytes, *, monitoring: bool) -> Reason | None:
        """Why the client with this packed, unmapped address gets no answer; None if it gets one."""
        if self._impossible.match(address) is not None:
            return Reason.BAD_SOURCE
        if self._deny.match(address) is not None:
            return Reason.ACCESS_DENIED
        if self._allow is not None and self._allow.match(address) is None:
            return Reason.NOT_ALLOWED
        if monitoring and self._monitor.match(address) is None:
            return Reason.MONITOR_DENIED
        return None
