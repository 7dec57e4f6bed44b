"""An NTP client: one question to one server, one measurement."""

import asyncio
import secrets
import socket
import time
from dataclasses import dataclass

from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.core.base.errors import NtpUsgError, WireError
from ntp_usg.core.base.instants import HostNs, WallNs, seconds
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.sysapi.timestamping import ANCILLARY_SIZE, enable_receive_timestamps, receive_time

SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


class NoAnswerError(NtpUsgError):
    """Why a server gave no answer, in words that say what to look at."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, from the numeric `address`; offset and delay in seconds, positive = the server is ahead."""

    address: str
    header: Header
    offset: float
    delay: float

    @property
    def root_distance(self) -> float:
        """The most that the time read from this server may be off by, in seconds (RFC 5905 section 11.1)."""
        return (self.header.root_delay + max(self.delay, 0.0)) / 2 + self.header.root_dispersion


async def ask(server: ServerAddress, timeout: float) -> Answer:  # noqa: ASYNC109 - a whole question has one deadline
    """Ask once, every address of the server in turn until one is there.

    Raises NoAnswerError when none answers within `timeout` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _ask_any(server)
    except TimeoutError:
        raise NoAnswerError(
            f"no answer within {timeout:g} s: is it up, is UDP port {server.port} open on the way, may we ask it?"
        ) from None


async def _ask_any(server: ServerAddress) -> Answer:
    failure = NoAnswerError("this name has no address")
    try:
        found = await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
    except socket.gaierror as error:
        raise NoAnswerError(f"unknown host: {error.strerror}") from None
    except UnicodeError:
        raise NoAnswerError("unknown host: this cannot be a name") from None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as endpoint:
                return await _exchange(endpoint, address)
        except ConnectionRefusedError:
            failure = NoAnswerError(f"refused: nothing listens on UDP port {server.port} there")
        except OSError as error:
            failure = NoAnswerError(f"cannot be reached: {error.strerror}")
    raise failure


async def _exchange(endpoint: socket.socket, address: SocketAddress) -> Answer:
    endpoint.settimeout(0.0)
    enable_receive_timestamps(endpoint)
    endpoint.connect(address)
    # RFC 9109, and draft-ietf-ntp-data-minimization: port and timestamp are random, so that nobody can guess an answer.
    nonce = secrets.randbits(64) or 1
    request = build_header(Header(mode=Mode.CLIENT, transmit_timestamp=nonce))
    sent_at = time.time_ns()
    endpoint.send(request)
    header, received_at = await _receive(endpoint, nonce)
    arrived = from_ntp(header.receive_timestamp, WallNs(received_at))
    left = from_ntp(header.transmit_timestamp, WallNs(received_at))
    return Answer(
        address=str(address[0]),
        header=header,
        offset=seconds((arrived - sent_at) + (left - received_at)) / 2,
        delay=seconds((received_at - sent_at) - (left - arrived)),
    )


async def _receive(endpoint: socket.socket, nonce: int) -> tuple[Header, HostNs]:
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
            try:
                header = parse_header(data)
            except WireError:
                continue
            if header.mode is Mode.SERVER and header.origin_timestamp == nonce:
                return header, received_at
    finally:
        loop.remove_reader(endpoint)
