"""The loop body that answers: a batch of datagrams from kernel stamps to departure, in whichever process runs it."""

import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.access_map import ADMITTED, UNDECIDED
from ntp_usg.core.server.batch import ENDS, Answers, BatchResponder, Requests, wall_many
from ntp_usg.core.server.responder import MAX_REQUEST_LENGTH, Responder, unusable
from ntp_usg.core.wire.timestamps import to_ntp
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.net.counters import VerdictCounters
from ntp_usg.net.plain_datagrams import PlainDatagrams
from ntp_usg.sysapi.datagram_batch import Datagram, DatagramBatch
from ntp_usg.sysapi.environment import only_select
from ntp_usg.sysapi.timestamping import LocalAddress, packet_info_control, sole_address

OnRequest = Callable[[bytes, bytes, Callable[[bytes], bool]], None]
"""Called with a packet for the control process, its sender's packed address, and a way to send answers there: that says
whether one was taken."""

BATCH = 256
"""Datagrams answered before other sockets, and the control process, get their turn."""

PIECE = 64
"""Up to so many answers are stamped one by one, each just before it is sent; that takes too long for more: of those
so many at a time are stamped at once, and then sent."""

HURRIED_NS = 12_000
"""With less time than this for an answer, none is stamped one by one, however few they are."""

FEW = 8
"""Fewer are answered sooner one by one: preparing arrays costs as much as so many answers."""

_CLOCK_MOVED_NS = 100_000
"""CLOCK_REALTIME and CLOCK_MONOTONIC are slewed alike: that they part by more than reading them takes is a step."""
_OLDEST_STAMP_NS = 1_000_000_000
_OLDEST = np.array(_OLDEST_STAMP_NS, np.uint64)
"""A request whose stamp is older than this, or from the future, gets no answer: either the clock was stepped since, so
that the stamp is wrong, or the client has given up."""

_FORGET = 1.01

_BAD_SOURCE = Verdict(Outcome.DROPPED, Reason.BAD_SOURCE)
_UNTIMELY = Verdict(Outcome.DROPPED, Reason.UNTIMELY)
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
        self._soles = [sole_address(endpoint) for endpoint in endpoints]
        self._batches = [
            PlainDatagrams(endpoint, MAX_REQUEST_LENGTH, sole)
            if only_select()
            else DatagramBatch(endpoint, BATCH, MAX_REQUEST_LENGTH, sole)
            for endpoint, sole in zip(endpoints, self._soles, strict=True)
        ]
        self._many = BatchResponder(responder)
        self._pace = Pace()
        self._newest_state = newest_state
        self._hand_up = hand_up
        self._looked_at = MonoNs(0)
        self._hurried = False

    def drain(self, endpoint: int) -> int:
        """Serve what waits at one socket (by its index), up to a batch of it; never blocks and never fails."""
        batch = self._batches[endpoint]
        count = batch.receive()
        if not count:
            return 0
        state, host, now = self._look()
        self._hurried = now - self._looked_at < count * HURRIED_NS
        self._looked_at = now
        alone: Iterable[int] = range(count)
        if isinstance(batch, DatagramBatch) and count >= FEW and batch.read_all(count):
            alone = self._serve_many(batch, self._ports[endpoint], count, state, host, now)
        for row in alone:
            self.counters.count(self._serve(endpoint, row, state, host, now))
        self.counters.clients = len(self.responder.clients)
        return count

    def send(self, route: Route, packet: bytes | bytearray) -> bool:
        """Send to a client from the address that it asked; whether the kernel took it."""
        control = [] if self._soles[route.endpoint] else packet_info_control(route.local)
        try:
            self.endpoints[route.endpoint].sendmsg([packet], control, 0, route.client)
        except (OSError, OverflowError):  # a full queue, no way to it, or an address that cannot be sent to
            return False
        return True

    def _serve(self, endpoint: int, row: int, state: ServingState, host: HostNs, now: MonoNs) -> Verdict:
        """One datagram."""
        batch = self._batches[endpoint]
        datagram = batch.read(row)
        if datagram.port in (0, self._ports[endpoint]) and _comes_from_ourselves_or_nowhere(datagram):
            return _BAD_SOURCE
        stamp = datagram.stamp or host
        if not 0 <= host - stamp <= _OLDEST_STAMP_NS:
            return _UNTIMELY
        wall = state.mapping.wall
        reply = self.responder.respond(datagram.data, datagram.packed_source, wall(HostNs(stamp)), state, now)
        if reply.packet is None:
            if reply.verdict.outcome is Outcome.HANDED_UP:
                route = Route(endpoint, datagram.asked, batch.source(row))
                return reply.verdict if self._hand_up(route, datagram.data) else _QUEUE_FULL
            return reply.verdict
        sent = batch.answer(row, reply.depart(wall(HostNs(time.time_ns()))))
        return reply.verdict if sent else _SEND_FAILED

    def _serve_many(  # noqa: PLR0917 - what came, and when
        self, batch: DatagramBatch, port: int, count: int, state: ServingState, host: HostNs, now: MonoNs
    ) -> Iterable[int]:
        """Answer the plain requests of a batch; the rows of the others."""
        stamps, ports = batch.stamps[:count], batch.ports[:count]
        lengths = batch.lengths[:count]
        untimely = (np.array(host) - stamps).view(np.uint64) > _OLDEST  # one from the future is negative, thus huge
        if np.count_nonzero(untimely):
            stamps[untimely] = host
            lengths = np.where(untimely, np.uint32(0), lengths)  # of no length for a request: looked at alone
        ours = ports == np.array(socket.htons(port), np.uint16)
        if np.count_nonzero(ours) or np.count_nonzero(ports) < count:
            same = batch.asked[:count] == batch.sources[:count]
            suspect = (ports == 0) | (ours & (same if same.ndim == 1 else same.all(1)))
            lengths = np.where(suspect, np.uint32(0), lengths)
        sources = batch.sources[:count].astype(np.uint64)
        requests = Requests(
            heads=batch.heads[:count],
            lengths=lengths,
            address_high=sources[:, 0] if sources.ndim == 2 else None,
            address_low=sources[:, 1] if sources.ndim == 2 else sources,
            receive_times=wall_many(state.mapping, stamps),
        )
        answers = self._many.respond(requests, state, now)
        failed = self._send(batch, answers, state)
        if not failed and not np.count_nonzero(answers.codes):
            self.counters.count(ENDS[ADMITTED], count)
            return ()
        ends = np.bincount(answers.codes, minlength=UNDECIDED + 1)
        for row in failed:
            self.counters.count(_SEND_FAILED)
            ends[answers.codes[row]] -= 1
        for end, number in zip(ENDS, ends.tolist(), strict=False):
            if number:
                self.counters.count(end, number)
        return np.flatnonzero(answers.codes == UNDECIDED).tolist() if ends[UNDECIDED] else ()

    def _send(self, batch: DatagramBatch, answers: Answers, state: ServingState) -> Sequence[int]:
        """Stamp and send the answers; the rows of those that the kernel did not take.

        A stamp is never later than the departure, or the client would see a server that is ahead.
        """
        if len(answers.rows) > PIECE or self._hurried:
            return [row for piece in answers.pieces(PIECE) for row in self._send_piece(batch, piece, state)]
        return self._send_each(batch, answers, state)

    def _send_piece(self, batch: DatagramBatch, answers: Answers, state: ServingState) -> list[int]:
        """Stamp all, then send all: the first leaves after this moment, and each other after the one before."""
        began = time.time_ns()
        self._many.depart(answers, to_ntp(state.mapping.wall(HostNs(began))), self._pace.least)
        stamped = time.time_ns()
        refused: list[int] = batch.answer_many(answers.rows).tolist()
        self._pace.took(time.time_ns() - stamped, len(answers.rows))
        return refused

    def _send_each(self, batch: DatagramBatch, answers: Answers, state: ServingState) -> list[int]:
        """Stamp each just before it is sent."""
        unstamped = set(answers.unstamped.tolist()) if answers.remembered else None
        timestamps, failed = [], []
        clock, stamp, send = time.time_ns, batch.stamp, batch.answer_row
        began = clock()
        timestamp = to_ntp(state.mapping.wall(HostNs(began)))
        for row in answers.rows.tolist():
            departure = timestamp + (clock() - began << 32) // NS_PER_SECOND & ~1
            if unstamped is None or row in unstamped:
                stamp(row, departure)
            if not send(row):
                failed.append(row)
            timestamps.append(departure)
        if answers.remembered:
            self._many.remember(answers, np.array(timestamps, np.uint64))
        return failed

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


def _comes_from_ourselves_or_nowhere(datagram: Datagram) -> bool:
    """Whether it claims to come from the very address of ours that was asked: to answer would be to ask ourselves."""
    asked = datagram.asked
    return datagram.port == 0 or (asked is not None and asked.packed == datagram.packed_source)


class Pace:
    """How much later than its predecessor each answer of a batch leaves, at least: none may leave before its stamp."""

    def __init__(self) -> None:
        self._least_ns = 0.0

    @property
    def least(self) -> int:
        """In units of NTP timestamps."""
        return int(self._least_ns * (1 << 32)) // NS_PER_SECOND

    def took(self, duration_ns: int, count: int) -> None:
        """So long it took to send so many. The least is forgotten slowly: one odd reading must not stay."""
        self._least_ns = min(max(self._least_ns, 1.0) * _FORGET, duration_ns / count)
