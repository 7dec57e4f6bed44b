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

SOON = 64
"""So many answers are stamped one by one, each just before it is sent; for more that would take too long."""

HURRIED_NS = 12_000
"""With less time than this for an answer, all of a batch are stamped at once, however few they are."""

FEW = 8
"""Fewer are answered sooner one by one: preparing arrays costs as much as so many answers."""

_CLOCK_MOVED_NS = 100_000
"""CLOCK_REALTIME and CLOCK_MONOTONIC are slewed alike: that they part by more than reading them takes is a step."""
_OLDEST_STAMP_NS = 1_000_000_000
_OLDEST = np.array(_OLDEST_STAMP_NS, np.uint64)
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
        self._alone, self._soon, self._together = Pace(), Pace(), BatchPace()
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
        stamp = datagram.stamp if 0 <= host - datagram.stamp <= _OLDEST_STAMP_NS else host
        wall = state.mapping.wall
        reply = self.responder.respond(datagram.data, datagram.packed_source, wall(HostNs(stamp)), state, now)
        if reply.packet is None:
            if reply.verdict.outcome is Outcome.HANDED_UP:
                route = Route(endpoint, datagram.asked, batch.source(row))
                return reply.verdict if self._hand_up(route, datagram.data) else _QUEUE_FULL
            return reply.verdict
        departure = self._alone.read() + self._alone.usual_ns
        sent = batch.answer(row, reply.depart(wall(HostNs(departure))))
        self._alone.left()
        return reply.verdict if sent else _SEND_FAILED

    def _serve_many(  # noqa: PLR0917 - what came, and when
        self, batch: DatagramBatch, port: int, count: int, state: ServingState, host: HostNs, now: MonoNs
    ) -> Iterable[int]:
        """Answer the plain requests of a batch; the rows of the others."""
        stamps, ports = batch.stamps[:count], batch.ports[:count]
        untimely = (np.array(host) - stamps).view(np.uint64) > _OLDEST  # one from the future is negative, thus huge
        if np.count_nonzero(untimely):
            stamps[untimely] = host
        lengths = batch.lengths[:count]
        ours = ports == np.array(socket.htons(port), np.uint16)
        if np.count_nonzero(ours) or np.count_nonzero(ports) < count:
            same = batch.asked[:count] == batch.sources[:count]
            suspect = (ports == 0) | (ours & (same if same.ndim == 1 else same.all(1)))
            lengths = np.where(suspect, np.uint32(0), lengths)  # of no length for a request: looked at alone
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
        """Stamp and send the answers; the rows of those that the kernel did not take."""
        rows = answers.rows
        if not len(rows):
            return ()
        if len(rows) > SOON or self._hurried:
            first, step = self._together.first(), (self._together.step_ns << 32) // NS_PER_SECOND
            self._many.depart(answers, to_ntp(state.mapping.wall(first)), step)
            self._together.begins()
            refused: list[int] = batch.answer_many(rows).tolist()
            self._together.ended(len(rows))
            return refused
        unstamped = set(answers.unstamped.tolist()) if answers.remembered else None
        timestamps, failed = [], []
        clock, stamp, send = time.time_ns, batch.stamp, batch.answer_row
        started = clock()
        timestamp, begin = to_ntp(state.mapping.wall(HostNs(started))), started - self._soon.usual_ns
        for row in rows.tolist():
            departure = timestamp + (self._soon.read() - begin << 32) // NS_PER_SECOND & ~1
            if unstamped is None or row in unstamped:
                stamp(row, departure)
            if not send(row):
                failed.append(row)
            timestamps.append(departure)
        # A quarter of it is what stamping one by one costs, which batches spare.
        self._together.took(self._soon.left() * 3 // 4, 1)
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
    """When an answer will leave: after the clock is read there is still work to do, and its usual length is known."""

    def __init__(self) -> None:
        self._usual = 3_000.0
        self._read_at = 0

    @property
    def usual_ns(self) -> int:
        """From reading the clock to leaving."""
        return round(self._usual)

    def read(self) -> int:
        """The host's clock, just before an answer is stamped and sent."""
        self._read_at = time.time_ns()
        return self._read_at

    def left(self) -> int:
        """The answer is on its way: half of what has passed since was before its leaving, as far as we can know.

        Gives the whole of it, in nanoseconds.
        """
        duration_ns = time.time_ns() - self._read_at
        self._usual = _learn(self._usual, duration_ns / 2)
        return duration_ns


class BatchPace:
    """The same for a batch, whose answers leave one after the other."""

    def __init__(self) -> None:
        self._preparing = 10_000.0
        self._sending = 2_500.0
        self._read_at = self._begun_at = 0

    @property
    def step_ns(self) -> int:
        """From one answer to the next."""
        return round(self._sending)

    def first(self) -> HostNs:
        """When the first one will leave, by the host's clock; to be asked just before the answers are stamped."""
        self._read_at = time.time_ns()
        return HostNs(self._read_at + round(self._preparing))

    def begins(self) -> None:
        """The answers are stamped, and the kernel gets them now."""
        self._begun_at = time.time_ns()
        self._preparing = _learn(self._preparing, self._begun_at - self._read_at)

    def ended(self, count: int) -> None:
        """All of them are on their way."""
        self.took(time.time_ns() - self._begun_at, count)

    def took(self, duration_ns: int, count: int) -> None:
        """How long so many answers took; those sent one by one tell as well how warm the processor's caches are."""
        # In small steps: at the end of a batch the error of one is multiplied by all its answers.
        self._sending = _learn(self._sending, duration_ns / count, 0.01)


def _learn(usual: float, latest: float, step: float = 0.03) -> float:
    """Follows the median, of which interruptions, however long, are not a part."""
    return usual * (1 + step if latest > usual else 1 - step)
