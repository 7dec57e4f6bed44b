"""The loop body that answers: one datagram at a time from kernel stamp to departure, in whichever process runs it."""

import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.responder import MAX_REQUEST_LENGTH, Responder, unusable
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.net.counters import VerdictCounters
from ntp_usg.sysapi.timestamping import (
    ANCILLARY_SIZE,
    LocalAddress,
    local_address,
    packet_info_control,
    receive_time,
)

OnRequest = Callable[[bytes, bytes, Callable[[bytes], object]], None]
"""Called with a packet for the control process, its sender's packed address, and a way to send answers there."""

BATCH = 64
"""Datagrams answered before other sockets, and the control process, get their turn."""

_BUFFER = MAX_REQUEST_LENGTH + 1  # enough for the responder to see that a datagram is too long
_CLOCK_MOVED_NS = 100_000
"""CLOCK_REALTIME and CLOCK_MONOTONIC are slewed alike: that they part by more than reading them takes is a step."""
_OLDEST_STAMP_NS = 1_000_000_000
"""A stamp older than this, or from the future, was taken before the clock was stepped, or is of no use any more."""

_BAD_SOURCE = Verdict(Outcome.DROPPED, Reason.BAD_SOURCE)
_QUEUE_FULL = Verdict(Outcome.DROPPED, Reason.QUEUE_FULL)
_SEND_FAILED = Verdict(Outcome.DROPPED, Reason.SEND_FAILED)


class Route(NamedTuple):
    """The way back to a client: which of our sockets, which address of ours was asked, and who asked."""

    endpoint: int
    local: LocalAddress | None
    client: SocketAddress

    @property
    def packed_client(self) -> bytes:
        """The client's address without its port: 4 or 16 bytes."""
        return socket.inet_pton(socket.AF_INET if len(self.client) == 2 else socket.AF_INET6, self.client[0])

    def from_ourselves(self, port: int) -> bool:
        """Whether the client is the very address and port that was asked: an answer would come back as a request."""
        return self.client[1] == port and self.local is not None and self.local.packed == self.packed_client


class Service:
    """Answers on some sockets by the newest state; what the responder hands up goes to `hand_up`, which may refuse."""

    def __init__(
        self,
        endpoints: Sequence[socket.socket],
        responder: Responder,
        newest_state: Callable[[], ServingState],
        counters: VerdictCounters,
        hand_up: Callable[[Route, bytes], bool],
    ) -> None:
        self.endpoints = endpoints
        self.responder = responder
        self.counters = counters
        self._ports: list[int] = [endpoint.getsockname()[1] for endpoint in endpoints]
        self._newest_state = newest_state
        self._hand_up = hand_up

    def drain(self, endpoint: int) -> None:
        """Serve what waits at one socket (by its index), up to a batch of it; never blocks and never fails."""
        sock, count = self.endpoints[endpoint], self.counters.count
        for _ in range(BATCH):
            try:
                data, ancillary, _, client = sock.recvmsg(_BUFFER, ANCILLARY_SIZE)
            except BlockingIOError:
                break
            except OSError:  # news of an earlier answer (an ICMP error), not of a request
                continue
            count(self._serve(data, receive_time(ancillary), Route(endpoint, local_address(ancillary), client)))
        self.counters.clients = len(self.responder.clients)

    def send(self, route: Route, packet: bytes | bytearray) -> bool:
        """Send to a client from the address that it asked; whether the kernel took it."""
        try:
            self.endpoints[route.endpoint].sendmsg([packet], packet_info_control(route.local), 0, route.client)
        except (OSError, OverflowError):  # a full queue, no way to it, or an address that cannot be sent to
            return False
        return True

    def _serve(self, data: bytes, stamp: HostNs | None, route: Route) -> Verdict:
        if not route.client[1] or route.from_ourselves(self._ports[route.endpoint]):
            return _BAD_SOURCE
        state, host, now = self._look()
        if stamp is None or not 0 <= host - stamp <= _OLDEST_STAMP_NS:
            stamp = host
        reply = self.responder.respond(data, route.packed_client, state.mapping.wall(stamp), state, now)
        if reply.verdict.outcome is Outcome.HANDED_UP:
            return reply.verdict if self._hand_up(route, data) else _QUEUE_FULL
        if reply.packet is None:
            return reply.verdict
        packet = reply.depart(state.mapping.wall(HostNs(time.time_ns())))
        return reply.verdict if self.send(route, packet) else _SEND_FAILED

    def _look(self) -> tuple[ServingState, HostNs, MonoNs]:
        """The state to answer by and the clocks; unusable where somebody has moved the host's clock since it was made.

        Being interrupted between the two readings looks the same, so a suspicion is checked twice.
        """
        state = self._newest_state()
        for _ in range(3):
            now, host = time.monotonic_ns(), time.time_ns()
            if abs(host - now - state.host_minus_mono_ns) <= _CLOCK_MOVED_NS:
                return state, HostNs(host), MonoNs(now)
        return unusable(state, b"INIT"), HostNs(host), MonoNs(now)
