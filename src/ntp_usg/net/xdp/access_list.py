"""The access lists for a longest-prefix match in the kernel: each network with the decision that holds within it."""

import struct
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network, ip_network

from ntp_usg.core.server.access import IMPOSSIBLE, parse_network
from ntp_usg.core.server.policy import ServerPolicy

_LEFT_ALONE = ("127.0.0.0/8", "::1")
"""The kernel knows whether they may come in by this interface."""
_MAPPED = bytes(10) + b"\xff\xff"
_MAPPED_BITS = 96
_KEY = struct.Struct("=I16s")

Prefix = tuple[int, int]
"""The leading bits of an address as a number, and how many they are, of 128."""


class Admission(IntEnum):
    """`enum admission` of answer.c."""

    UNDECIDED = 0
    ADMITTED = 1
    DENIED = 2
    NOT_ALLOWED = 3
    IMPOSSIBLE = 4


class AccessList:
    """The map `access` of a policy, where IPv4 lies within IPv6 (::ffff:0:0/96). Raises ValueError at a bad network."""

    def __init__(self, policy: ServerPolicy) -> None:
        self._deny, self._impossible = _prefixes(policy.deny), _prefixes(IMPOSSIBLE)
        self._left_alone = _prefixes(_LEFT_ALONE)
        self._everybody = _prefixes(("0.0.0.0/0", "::/0"))
        self._allow = self._everybody if policy.allow is None else _prefixes(policy.allow)
        self._all = self._deny | self._impossible | self._left_alone | self._everybody | self._allow

    def entries(self) -> list[tuple[bytes, bytes]]:
        """Keys and values."""
        return [(_key(prefix), bytes([self._decide(prefix)])) for prefix in sorted(self._all)]

    def entry(self, address: bytes) -> tuple[bytes, bytes | None]:
        """Key and value of one packed address; None where the lists have no entry for just that one."""
        prefix = _prefix(ip_network(address))
        return _key(prefix), bytes([self._decide(prefix)]) if prefix in self._all else None

    def _decide(self, prefix: Prefix) -> Admission:
        if _within(prefix, self._impossible):
            return Admission.IMPOSSIBLE
        if _within(prefix, self._left_alone):
            return Admission.UNDECIDED
        if _within(prefix, self._deny):
            return Admission.DENIED
        return Admission.ADMITTED if _within(prefix, self._allow) else Admission.NOT_ALLOWED


def _prefixes(networks: tuple[str, ...]) -> set[Prefix]:
    return {_prefix(parse_network(text)) for text in networks}


def _prefix(network: IPv4Network | IPv6Network) -> Prefix:
    packed, length = network.network_address.packed, network.prefixlen
    if isinstance(network, IPv4Network):
        packed, length = _MAPPED + packed, length + _MAPPED_BITS
    return int.from_bytes(packed, "big") >> 128 - length, length


def _within(prefix: Prefix, networks: set[Prefix]) -> bool:
    """Whether one of some networks covers this one; the price is a look-up for each bit, however many they are.

    IPv4 networks lie in IPv6 ones for the kernel only: `::/0` is not about them.
    """
    number, length = prefix
    is_ipv4 = length >= _MAPPED_BITS and number >> length - _MAPPED_BITS == 0xFFFF
    longest_step = length - (_MAPPED_BITS if is_ipv4 else 0)
    return any((number >> shift, length - shift) in networks for shift in range(longest_step + 1))


def _key(prefix: Prefix) -> bytes:
    number, length = prefix
    return _KEY.pack(length, (number << 128 - length).to_bytes(16, "big"))
