"""The access lists for a longest-prefix match in the kernel: each network with the decision that holds within it."""

import struct
from enum import IntEnum
from ipaddress import IPv4Network, IPv6Network

from ntp_usg.core.server.access import IMPOSSIBLE, parse_network
from ntp_usg.core.server.policy import ServerPolicy

_LEFT_ALONE = (*IMPOSSIBLE, "127.0.0.0/8", "::1")
"""Sources that the kernel's own checks are for (martians)."""
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


def build_access_list(policy: ServerPolicy) -> list[tuple[bytes, bytes]]:
    """Keys and values of the map `access`, where IPv4 lies within IPv6 (::ffff:0:0/96). ValueError at a bad network."""
    deny, left_alone = _prefixes(policy.deny), _prefixes(_LEFT_ALONE)
    everybody = _prefixes(("0.0.0.0/0", "::/0"))
    allow = everybody if policy.allow is None else _prefixes(policy.allow)

    def decide(prefix: Prefix) -> Admission:
        if _within(prefix, left_alone):
            return Admission.UNDECIDED
        if _within(prefix, deny):
            return Admission.DENIED
        return Admission.ADMITTED if _within(prefix, allow) else Admission.NOT_ALLOWED

    return [_entry(prefix, decide(prefix)) for prefix in sorted(deny | left_alone | everybody | allow)]


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


def _entry(prefix: Prefix, admission: Admission) -> tuple[bytes, bytes]:
    number, length = prefix
    return _KEY.pack(length, (number << 128 - length).to_bytes(16, "big")), bytes([admission])
