"""Request and state in, answer out: every packet, one at a time. Faster responders are held to what this one does."""

from dataclasses import replace
from struct import Struct

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.snapshots import UNSYNCHRONISED_STRATUM, Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.access import Access, unmapped
from ntp_usg.core.server.clients import ClientTable, table_bytes
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.ratelimit import KISS_INTERVAL_NS, RateLimit, leaks, may_kiss
from ntp_usg.core.wire.header import HEADER_LENGTH, VERSIONS, Mode, version_of
from ntp_usg.core.wire.timestamps import to_ntp, to_short
from ntp_usg.core.wire.trailer import mac_start

MAX_REQUEST_LENGTH = 1472
"""What one Ethernet frame holds; RFC 8915 and 9327 keep their packets below it too."""

CONTROL_HEADER_LENGTH = 12

_REQUEST = Struct(">BxBx20xQQQ")
"""First octet, poll, origin, receive and transmit timestamps: all that an answer takes from a header."""

_START = Struct(">BBbbII4sQ")
_TIMESTAMPS = Struct(">QQQ")
_TIMESTAMP = Struct(">Q")
_TRANSMIT_OFFSET = 40
_LAST_BIT = 1

_BASIC = Verdict(Outcome.ANSWERED, Reason.BASIC)
_INTERLEAVED = Verdict(Outcome.ANSWERED, Reason.INTERLEAVED)
_RATE_KISS = Verdict(Outcome.ANSWERED, Reason.RATE_KISS)


class Reply:
    """What becomes of one request: a verdict, and a packet if it is answered."""

    __slots__ = ("_clients", "_epoch", "_place", "_receive_timestamp", "packet", "verdict")

    def __init__(
        self,
        verdict: Verdict,
        packet: bytearray | None = None,
        *,
        clients: ClientTable | None = None,
        place: int = 0,
        receive_timestamp: int = 0,
        epoch: int = 0,
    ) -> None:
        self.verdict = verdict
        self.packet = packet
        self._clients = clients
        self._place = place
        self._receive_timestamp = receive_timestamp
        self._epoch = epoch

    def depart(self, transmit_time: WallNs) -> bytearray:
        """Stamp the answer's transmit field; call it last before the packet is sent.

        An interleaved answer has that field filled already. Either way the departure is what the client's next
        interleaved answer will tell.
        """
        assert self.packet is not None, f"{self.verdict} has no answer"
        transmit_timestamp = to_ntp(transmit_time) & ~_LAST_BIT
        if self.verdict is not _INTERLEAVED:
            _TIMESTAMP.pack_into(self.packet, _TRANSMIT_OFFSET, transmit_timestamp)
        if self._clients is not None:
            self._clients.receive_timestamp[self._place] = self._receive_timestamp
            self._clients.transmit_timestamp[self._place] = transmit_timestamp
            self._clients.epoch[self._place] = self._epoch
        return self.packet


def _fault_of_kind(first: int) -> Reason | None:
    """What is wrong with the first octet of a packet that should be a request.

    Version 1 has no mode: its clients send 0, or 3 by anticipation. Both get mode 4 in return, as from chrony and
    ntpsec: an answer in mode 0 would be a request to the next server. Old Windows and Cisco clients ask in mode 1,
    symmetric active, though they want no more than the time.
    """
    version, mode = version_of(first), first & 7
    if version not in VERSIONS:
        return Reason.BAD_VERSION
    if mode in {Mode.CLIENT, Mode.CONTROL, Mode.SYMMETRIC_ACTIVE} or (version == 1 and mode == Mode.RESERVED):
        return None
    return Reason.BAD_MODE


_FAULTS_OF_KIND = tuple(_fault_of_kind(first) for first in range(256))
_DROPPED = {reason: Reply(Verdict(Outcome.DROPPED, reason)) for reason in Reason}
_HANDED_UP = Reply(Verdict(Outcome.HANDED_UP, Reason.NOT_FOR_WORKER))


class Responder:
    """Answers under a policy and keeps a record of each recent client, in a table that others may write to as well.

    Raises ValueError at a policy that can't be followed.
    """

    def __init__(self, policy: ServerPolicy, clients: ClientTable | None = None) -> None:
        self.clients = ClientTable(policy.max_clients) if clients is None else clients
        self._follow(policy)  # without refilling: a worker that stands by shares the table with the one that serves

    def adopt(self, policy: ServerPolicy) -> None:
        """Follow a new policy from now on; clients stay known. One that raises ValueError changes nothing."""
        self._follow(policy)
        self.clients.refill()

    def _follow(self, policy: ServerPolicy) -> None:
        access, limit = Access(policy), RateLimit(policy.packets_per_second, policy.burst_size)
        table_bytes(policy.max_clients)  # raises its ValueError; the table itself keeps its size
        self.policy, self.access, self.limit = policy, access, limit

    def respond(
        self, data: bytes | memoryview, client: bytes, receive_time: WallNs, state: ServingState, now: MonoNs
    ) -> Reply:
        """Decide about one datagram. `client` is its packed source address, `receive_time` the served time it came at.

        Nothing is remembered of a packet that is no request, nor of a client that has no access.
        """
        address = unmapped(client)
        refusal = _fault(data) or self.access.refusal(address, monitoring=_is_control(data))
        if refusal is not None:
            return _DROPPED[refusal]
        place = self.clients.visit(address, now)
        if self.policy.rate_limit and not self._admits(place, now):
            if not _is_control(data) and may_kiss(self.clients.next_kiss[place], now):
                self.clients.next_kiss[place] = now + KISS_INTERVAL_NS
                return Reply(_RATE_KISS, self._answer(data, place, receive_time, unusable(state, b"RATE"), now).packet)
            if _is_control(data) or not leaks(self.clients.hits[place], self.clients.leak_key):
                return _DROPPED[Reason.RATE_LIMITED]
        if _is_control(data):
            return _HANDED_UP
        if len(data) > HEADER_LENGTH and mac_start(data) < len(data):
            # Authentication belongs here, after the rate limit: a MAC costs more to check than to send.
            return _DROPPED[Reason.UNSUPPORTED_AUTHENTICATION]
        if now > state.expires_at:
            state = unusable(state, b"INIT")
        return self._answer(data, place, receive_time, state, now)

    def _admits(self, place: int, now: MonoNs) -> bool:
        due = self.limit.admit(self.clients.due[place], now)
        if due is not None:
            self.clients.due[place] = due
        return due is not None

    def _answer(
        self, data: bytes | memoryview, place: int, receive_time: WallNs, state: ServingState, now: MonoNs
    ) -> Reply:
        """Build the answer, interleaved where that is asked for and can be given (RFC 9769 section 2).

        An interleaved request shows our last receive timestamp as its origin; ordinary ones show our transmit
        timestamp, or 0. So that no value can be both, receive timestamps end in a 1 and transmit timestamps in a 0;
        and no receive timestamp is given twice in a row, or found twice. What was remembered before a step of the clock
        is of another timeline than the rest of the answer, and told to nobody.

        Who asks in symmetric active mode gets the same answer in symmetric passive mode, and nothing is remembered:
        interleaved symmetric mode would need an association.
        """
        first, poll, origin, receive, transmit = _REQUEST.unpack_from(data)
        verdict, remembered, echoed, transmit_timestamp = _BASIC, None, transmit, 0
        clients, symmetric = self.clients, first & 7 == Mode.SYMMETRIC_ACTIVE
        receive_timestamp = to_ntp(receive_time) | _LAST_BIT
        if self.policy.interleaved and is_usable(state) and not symmetric:
            remembered = clients
            last_received, last_sent = clients.receive_timestamp[place], clients.transmit_timestamp[place]
            if receive_timestamp == last_received:
                receive_timestamp += 2  # can't overflow: whole nanoseconds end well before the last units of an era
            if last_sent and origin == last_received and clients.epoch[place] == state.epoch and receive != transmit:
                verdict, echoed, transmit_timestamp = _INTERLEAVED, receive, last_sent
                clients.transmit_timestamp[place] = 0
        packet = bytearray(answer_start(state, now) + _TIMESTAMPS.pack(echoed, receive_timestamp, transmit_timestamp))
        packet[0] |= first & 0o70
        if symmetric:
            packet[0] ^= Mode.SERVER ^ Mode.SYMMETRIC_PASSIVE
        packet[2] = poll
        return Reply(
            verdict,
            packet,
            clients=remembered,
            place=place,
            receive_timestamp=receive_timestamp,
            epoch=state.epoch,
        )


def is_usable(state: ServingState) -> bool:
    """Whether an answer from this state may be used to set a clock."""
    return state.leap is not Leap.UNSYNCHRONISED and state.stratum < UNSYNCHRONISED_STRATUM


def answer_start(state: ServingState, now: MonoNs) -> bytes:
    """The first three 64-bit words of every answer from a state; version and poll are the request's."""
    usable = is_usable(state)
    return _START.pack(
        (state.leap if usable else Leap.UNSYNCHRONISED) << 6 | Mode.SERVER,
        state.stratum if usable else 0,
        0,
        state.precision,
        to_short(state.root_delay),
        to_short(state.root_dispersion_at(now)),
        state.reference_id,
        to_ntp(state.reference_time) if state.reference_time else 0,
    )


def _fault(data: bytes | memoryview) -> Reason | None:
    """What is wrong with a packet in itself, whoever sent it."""
    length = len(data)
    if length < CONTROL_HEADER_LENGTH:
        return Reason.TOO_SHORT
    if length > MAX_REQUEST_LENGTH:
        return Reason.TOO_LONG
    fault = _FAULTS_OF_KIND[data[0]]
    if fault is not None or length == HEADER_LENGTH or _is_control(data):
        return fault
    if length < HEADER_LENGTH:
        return Reason.TOO_SHORT
    try:
        mac_start(data)
    except WireError:
        return Reason.BAD_FORMAT
    return None


def _is_control(data: bytes | memoryview) -> bool:
    return data[0] & 7 == Mode.CONTROL


def unusable(state: ServingState, reference_id: bytes) -> ServingState:
    """The state with nothing in it to set a clock by, and the reason in four letters (RFC 5905 section 7.4)."""
    return replace(state, leap=Leap.UNSYNCHRONISED, stratum=UNSYNCHRONISED_STRATUM, reference_id=reference_id)
