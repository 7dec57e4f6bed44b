"""One policy in the kernel: a program of its own, with the lists, the limits and the clients that belong to it."""

import errno
import struct
from collections.abc import Mapping, Set
from contextlib import ExitStack, closing

import numpy as np

from ntp_usg.core.server.clients import Clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.ratelimit import KISS_INTERVAL_NS, RateLimit
from ntp_usg.net.xdp.access_list import AccessList, Admission
from ntp_usg.sysapi.bpf import Map, MapFlag, MapKind, Program, ProgramFlag
from ntp_usg.sysapi.bpf_object import NO_CALL, BpfObject, kernel_call
from ntp_usg.sysapi.btf import find_kernel_function

CLIENT = struct.Struct("=QQQQQ")
"""`struct client` of answer.c: due, next_kiss, last_seen, hits, first_seen."""

_POLICY = struct.Struct("=QQQQBBB5x")
_ADDRESS_BYTES, _PREFIX_BYTES = 16, 20
_LEAST_CLIENTS = 1024  # the kernel keeps some places free for each CPU
MOST_REFUSED = 4096
"""Sources that are refused because of the addresses that this machine has."""
_FIRST = bytes(4)
_LICENCE = "Apache-2.0"
_LICENCE_FOR_CALLS = "GPL"
"""answer.c is offered under both; the kernel lends its functions to programs under this one only."""
_CARD_STAMP = "bpf_xdp_metadata_rx_timestamp"


class Rules:
    """What FastPath exchanges as a whole when the policy changes; `shared` are the maps that stay.

    Raises OSError where the kernel refuses a part, ValueError at an impossible policy.
    """

    def __init__(
        self,
        code: BpfObject,
        policy: ServerPolicy,
        shared: Mapping[str, Map],
        *,
        traffic_class: int,
        card: int,
        leak_key: int,
    ) -> None:
        self._list, constants = AccessList(policy), _constants(policy, traffic_class, leak_key)
        entries = self._list.entries()
        self.refused_sources: Set[bytes] = frozenset()
        with ExitStack() as parts:
            self.clients = parts.enter_context(
                closing(Map(MapKind.LRU_HASH, "clients", (_ADDRESS_BYTES, CLIENT.size), _places(policy)))
            )
            most = len(entries) + MOST_REFUSED
            self._access = parts.enter_context(
                closing(Map(MapKind.LPM_TRIE, "access", (_PREFIX_BYTES, 1), most, MapFlag.NO_PREALLOCATION))
            )
            self._access.update_many(entries)
            fixed = parts.enter_context(
                closing(Map(MapKind.ARRAY, "policy", (4, _POLICY.size), 1, MapFlag.READ_ONLY_FOR_PROGRAM))
            )
            fixed[_FIRST] = constants
            fixed.freeze()
            self._code, self._maps = code, {**shared, "clients": self.clients, "access": self._access, "policy": fixed}
            self.program = parts.enter_context(closing(self._load(NO_CALL, _LICENCE, card)))
            self.close = parts.pop_all().close

    def refuse_sources(self, addresses: Set[bytes]) -> None:
        """Drop what claims to come from these packed addresses, MOST_REFUSED at most; as the lists say for others."""
        wanted = frozenset(sorted(addresses)[:MOST_REFUSED])
        for address in self.refused_sources - wanted:
            key, value = self._list.entry(address)
            if value is None:
                del self._access[key]
            else:
                self._access[key] = value
        for address in wanted - self.refused_sources:
            self._access[self._list.entry(address)[0]] = bytes([Admission.IMPOSSIBLE])
        self.refused_sources = wanted

    def bound_program(self, interface: int) -> Program:
        """The same for one interface only, whose card stamps what it receives; to be closed by who asks for it.

        Raises OSError where the kernel has no such thing, WireError where its table of functions makes no sense.
        """
        function = find_kernel_function(_CARD_STAMP)
        if function is None:
            raise OSError(errno.ENOSYS, f"no {_CARD_STAMP} in this kernel")
        return self._load(kernel_call(function), _LICENCE_FOR_CALLS, interface, ProgramFlag.BOUND)

    def _load(self, card_stamp: bytes, licence: str, interface: int, flags: ProgramFlag = ProgramFlag.NONE) -> Program:
        code = self._code.linked(self._maps, **{_CARD_STAMP: card_stamp})
        return Program("ntp_usg", code, licence, interface, flags)

    def client_table(self) -> Clients:
        """A copy of whom the program has answered, or refused for asking too often."""
        keys, values = self.clients.columns()
        high, low = np.frombuffer(keys, ">u8").astype(np.uint64).reshape(-1, 2).T
        due, _, last_seen, hits, first_seen = np.frombuffer(values, np.int64).reshape(-1, 5).T
        times = {"due": due, "last_seen": last_seen, "first_seen": first_seen}
        return Clients({"address_high": high, "address_low": low, "hits": hits, **times})


def _places(policy: ServerPolicy) -> int:
    return max(policy.max_clients, _LEAST_CLIENTS)


def _constants(policy: ServerPolicy, traffic_class: int, leak_key: int) -> bytes:
    """`policy` of answer.c."""
    limit = RateLimit(policy.packets_per_second, policy.burst_size)
    switches = policy.rate_limit, policy.interleaved, traffic_class
    return _POLICY.pack(limit.interval_ns, limit.tolerance_ns, KISS_INTERVAL_NS, leak_key, *switches)
