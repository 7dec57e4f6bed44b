"""An NTP client: one question to one server, one measurement."""

import asyncio
import secrets
import socket
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ntp_usg.core.associations.answers import RoundTrip, kiss_of, measure, parse_answer, refusal
from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.core.base.dates import nearest_possible
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.instants import HostNs, RawNs, seconds
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.header import Header, Mode, build_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.net.addresses import SocketAddress
from ntp_usg.net.lookup import look_up
from ntp_usg.sysapi.timestamping import ANCILLARY_SIZE, enable_receive_timestamps, receive_time

MAX_DISTANCE = 1.5
"""RFC 5905 MAXDIST in seconds, with the half second that other implementations add."""
STAGGER = 0.25
"""Seconds that one address of a name is waited for before the next is asked, too (RFC 8305 has the same)."""
MAX_ADDRESSES = 16
_PRECISION = -20
"""Exponent of two in seconds: how exactly this machine's clock is read."""


class NoAnswerError(NtpUsgError):
    """Why a server gave no answer, in words that say what to look at."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, from the numeric `address`; offset and delay in seconds, positive = the server is ahead."""

    address: str
    header: Header
    offset: float
    delay: float
    fault: Reason | None
    """Why the daemon would not follow this answer; None where it would."""
    has_time: bool
    """Whether offset and delay mean something: in a refusal or with impossible timestamps they do not."""

    @property
    def root_distance(self) -> float:
        """The most that the time read from this server may be off by, in seconds (RFC 5905 section 11.1)."""
        return (self.header.root_delay + max(self.delay, 0.0)) / 2 + self.header.root_dispersion


async def ask(server: ServerAddress, timeout: float) -> Answer:  # noqa: ASYNC109 - a whole question has one deadline
    """Ask once: every address of the server until one gives good time, else the first answer, whatever it is worth.

    Raises NoAnswerError when none answers within `timeout` seconds, in which the name must be looked up, too.
    """
    question = _Question(server)
    try:
        async with asyncio.timeout(timeout):
            return await question.ask()
    except TimeoutError:
        return question.settle(f"within {timeout:g} s")


class _Question:
    """One question to a server, and what its addresses have made of it so far."""

    def __init__(self, server: ServerAddress) -> None:
        self._server = server
        self._found = False
        self._answers: list[Answer] = []
        self._failure: NoAnswerError | None = None
        self._ignored: Reason | None = None

    async def ask(self) -> Answer:
        found = await look_up(self._server)
        if isinstance(found, str):
            raise NoAnswerError(found)
        self._found = True
        return await self._ask_in_turn(found[:MAX_ADDRESSES]) or self.settle("from any address")

    def settle(self, when: str) -> Answer:
        """The first answer, where there was one; else raises NoAnswerError with the best reason that is known."""
        if self._answers:
            return self._answers[0]
        if not self._found:
            raise NoAnswerError(f"the name could not be looked up {when}: does this machine reach a name server?")
        if self._ignored:
            raise NoAnswerError(f"no usable answer {when}. {self._ignored.explanation}")
        raise self._failure or NoAnswerError(
            f"no answer {when}: is it up, is UDP port {self._server.port} open on the way, may we ask it?"
        )

    async def _ask_in_turn(self, addresses: Sequence[SocketAddress]) -> Answer | None:
        """The first good answer. Addresses that were asked before are still listened to: they may only be far away."""
        waiting, pending = deque(addresses), set[asyncio.Task[Answer]]()
        try:
            while waiting or pending:
                if waiting:
                    pending.add(asyncio.create_task(self._exchange(waiting.popleft())))
                patience = STAGGER if waiting else None
                done, pending = await asyncio.wait(pending, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                for answer in filter(None, map(self._result, done)):
                    self._answers.append(answer)
                    if answer.fault is None:
                        return answer
        finally:
            for each in pending:
                each.cancel()
        return None

    def _result(self, done: asyncio.Task[Answer]) -> Answer | None:
        try:
            return done.result()
        except ConnectionRefusedError:
            port = self._server.port
            self._failure = NoAnswerError(f"refused: nothing listens on UDP port {port} there")
        except OSError as error:
            self._failure = NoAnswerError(f"cannot be reached: {error.strerror}")
        return None

    async def _exchange(self, address: SocketAddress) -> Answer:
        family = socket.AF_INET if len(address) == 2 else socket.AF_INET6
        with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
            endpoint.settimeout(0.0)
            enable_receive_timestamps(endpoint)
            endpoint.connect(address)
            # RFC 9109, and draft-ietf-ntp-data-minimization: port and timestamp are random: nobody can guess an answer.
            nonce = secrets.randbits(64) or 1
            request = build_header(Header(mode=Mode.CLIENT, transmit_timestamp=nonce))
            sent_at, begun = time.time_ns(), time.monotonic()
            endpoint.send(request)
            header, received_at = await self._receive(endpoint, nonce)
            waited = time.monotonic() - begun
        trip = RoundTrip(RawNs(sent_at), RawNs(received_at), waited, nearest_possible(received_at))
        return _judged(address[0], header, trip)

    async def _receive(self, endpoint: socket.socket, nonce: int) -> tuple[Header, HostNs]:
        """The answer to our question and when it came; whatever else arrives is let go."""
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(endpoint, readable.set)
        try:
            while True:
                await readable.wait()
                try:
                    data, ancillary, _, _ = endpoint.recvmsg(1024, ANCILLARY_SIZE)
                except BlockingIOError:
                    readable.clear()
                    continue
                received_at = receive_time(ancillary) or HostNs(time.time_ns())
                header = parse_answer(data)
                if isinstance(header, Header) and header.origin_timestamp == nonce:
                    return header, received_at
                self._ignored = header if isinstance(header, Reason) else Reason.BOGUS_ORIGIN
        finally:
            loop.remove_reader(endpoint)


def _judged(address: str, header: Header, trip: RoundTrip) -> Answer:
    """Hold an answer to all that the daemon holds it to."""
    measured = measure(header, trip, precision=_PRECISION, max_distance=MAX_DISTANCE)
    kiss = kiss_of(header)
    arrived = from_ntp(header.receive_timestamp, trip.pivot)
    left = from_ntp(header.transmit_timestamp, trip.pivot)
    stamped = bool(header.receive_timestamp and header.transmit_timestamp)
    return Answer(
        address=address,
        header=header,
        offset=seconds((arrived - trip.sent_at) + (left - trip.received_at)) / 2,
        delay=seconds((trip.received_at - trip.sent_at) - (left - arrived)),
        fault=kiss or refusal(header) or (measured if isinstance(measured, Reason) else None),
        has_time=stamped and kiss is None and measured is not Reason.BAD_TIMESTAMPS,
    )
