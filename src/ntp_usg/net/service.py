"""The loop body that answers: a batch of datagrams from kernel stamps to departure, in whichever process runs it."""

import socket
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.access_map import UNDECIDED
from ntp_usg.core.server.batch import ENDS, BatchResponder, Requests, wall_many
from ntp_usg.core.server.clients import MAPPED_PREFIX
from ntp_usg.core.server.responder import MAX_REQUEST_LENGTH, Responder, unusable
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.net.counters import VerdictCounters
from ntp_usg.sysapi.datagram_batch import DatagramBatch
from ntp_usg.sysapi.timestamping import LocalAddress, packet_info_control

OnRequest = Callable[[bytes, bytes, Callable[[bytes], object]], None]
"""Called with a packet for the control process, its sender's packed address, and a way to send answers there."""

BATCH = 256
"""Datagrams answered before other sockets, and the control process, get their turn."""

FEW = 8
"""Fewer are answered sooner one by one: preparing arrays costs as much as so many answers."""

_CLOCK_MOVED_NS = 100_000
"""CLOCK_REALTIME and CLOCK_MONOTONIC are slewed alike: that they part by more than reading them takes is a step."""
_OLDEST_STAMP_NS = 1_000_000_000
"""A stamp older than this, or from the future, was taken before the clock was stepped, or is of no use any more."""

_MAPPED = np.uint64(MAPPED_PREFIX)

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
        self._batches = [DatagramBatch(endpoint, BATCH, MAX_REQUEST_LENGTH) for endpoint in endpoints]
        self._many = BatchResponder(responder)
        self._pace = Pace()
        self._newest_state = newest_state
        self._hand_up = hand_up

    def drain(self, endpoint: int) -> int:
        """Serve what waits at one socket (by its index), up to a batch of it; never blocks and never fails."""
        batch = self._batches[endpoint]
        count = batch.receive()
        if not count:
            return 0
        state, host, now = self._look()
        stamps = batch.stamps[:count]
        untimely = (host - stamps).view(np.uint64) > _OLDEST_STAMP_NS  # one from the future is negative, thus huge
        if np.count_nonzero(untimely):
            stamps[untimely] = host
        alone: Sequence[int] = range(count)
        if suspects := self._suspects(batch, count, self._ports[endpoint]):
            self.counters.count(_BAD_SOURCE, len(suspects))
            alone = [row for row in alone if row not in suspects]
        elif count >= FEW:
            alone = self._serve_many(batch, count, state, now)
        if alone:
            self._serve_alone(endpoint, alone, state, now)
        self.counters.clients = len(self.responder.clients)
        return count

    def send(self, route: Route, packet: bytes | bytearray) -> bool:
        """Send to a client from the address that it asked; whether the kernel took it."""
        try:
            self.endpoints[route.endpoint].sendmsg([packet], packet_info_control(route.local), 0, route.client)
        except (OSError, OverflowError):  # a full queue, no way to it, or an address that cannot be sent to
            return False
        return True

    def _suspects(self, batch: DatagramBatch, count: int, port: int) -> set[int]:
        """Rows that claim to come from nowhere, or from the very address and port of ours that was asked.

        An answer to the latter would come back as a request.
        """
        ports = batch.ports[:count]
        candidates = np.flatnonzero((ports == 0) | (ports == port)).tolist()
        suspects = set()
        for row in candidates:
            asked = batch.asked(row)
            if batch.ports[row] == 0 or (asked is not None and asked.packed == batch.packed_source(row)):
                suspects.add(row)
        return suspects

    def _serve_many(self, batch: DatagramBatch, count: int, state: ServingState, now: MonoNs) -> list[int]:
        """Answer the plain requests of a batch; the rows of the others."""
        sources = batch.sources[:count].astype(np.uint64)
        ipv6 = sources.ndim == 2
        requests = Requests(
            heads=batch.heads[:count],
            lengths=batch.lengths[:count],
            address_high=sources[:, 0] if ipv6 else None,
            address_low=sources[:, 1] if ipv6 else sources | _MAPPED,
            receive_times=wall_many(state.mapping, batch.stamps[:count]),
        )
        answers = self._many.respond(requests, state, now)
        departures = self._pace.departures(len(answers.rows))
        self._many.depart(requests.heads, answers, wall_many(state.mapping, departures))
        failed = self._pace.send(batch, answers.rows)
        ends = np.bincount(answers.codes, minlength=256)
        for row in failed:
            self.counters.count(_SEND_FAILED)
            ends[answers.codes[row]] -= 1
        for end, number in zip(ENDS, ends.tolist(), strict=False):
            if number:
                self.counters.count(end, number)
        return np.flatnonzero(answers.codes == UNDECIDED).tolist() if ends[UNDECIDED] else []

    def _serve_alone(self, endpoint: int, rows: Sequence[int], state: ServingState, now: MonoNs) -> None:
        """Answer some rows one by one."""
        batch, responder, wall = self._batches[endpoint], self.responder, state.mapping.wall
        replies = []
        for row in rows:
            data = batch.data(row)
            reply = responder.respond(
                data, batch.packed_source(row), wall(HostNs(batch.stamps[row].item())), state, now
            )
            if reply.packet is not None:
                replies.append((row, reply))
            elif reply.verdict.outcome is Outcome.HANDED_UP:
                route = Route(endpoint, batch.asked(row), batch.source(row))
                self.counters.count(reply.verdict if self._hand_up(route, data) else _QUEUE_FULL)
            else:
                self.counters.count(reply.verdict)
        if not replies:
            return
        departures = self._pace.departures(len(replies)).tolist()
        for (row, reply), departure in zip(replies, departures, strict=True):
            batch.heads[row] = memoryview(reply.depart(wall(HostNs(departure))))
        failed = self._pace.send(batch, np.array([row for row, _ in replies])).tolist()
        for row, reply in replies:
            self.counters.count(_SEND_FAILED if row in failed else reply.verdict)

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


class Pace:
    """When each answer of a batch will leave: the clock is read once, and how long sending takes has been watched."""

    def __init__(self) -> None:
        self._preparing_ns = 10_000.0
        self._sending_ns = 2_500.0
        self._read_at = 0

    def departures(self, count: int) -> NDArray[np.int64]:
        """By the host's clock; to be called just before the answers are stamped and sent."""
        self._read_at = time.time_ns()
        first = self._read_at + round(self._preparing_ns)
        return first + np.arange(count, dtype=np.int64) * round(self._sending_ns)

    def send(self, batch: DatagramBatch, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Send rows, and learn how long it took."""
        started = time.time_ns()
        failed = batch.send(rows)
        if len(rows):
            ended = time.time_ns()
            self._preparing_ns = _learn(self._preparing_ns, started - self._read_at)
            self._sending_ns = _learn(self._sending_ns, (ended - started) / len(rows))
        return failed


def _learn(average: float, latest: float) -> float:
    """Follows what is usual, and an interruption no further than by a part of what was usual before."""
    return average + (min(max(latest, 0.0), 2 * average + 100) - average) / 8
