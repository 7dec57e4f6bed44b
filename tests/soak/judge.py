"""What must hold all the time: each answer is inside its bound, none is missing, and no process grows."""

import asyncio
import itertools
import os
import secrets
import socket
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs, WallNs, seconds
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.simulate.truth import Truth
from ntp_usg.sysapi.timestamping import ANCILLARY_SIZE, enable_receive_timestamps, receive_time

INTERVAL = 0.05
"""Seconds between two requests."""
CLIENTS = [f"127.0.7.{number}" for number in range(1, 65)]
"""Enough that none of them asks faster than the rate limit allows."""
SAID_WITHIN = 2.0
"""Seconds around an unsynchronised answer in which the daemon must have said that it is unsynchronised."""


@dataclass(slots=True)
class Request:
    """One request and what became of it; seconds, `sent_at` on the monotonic clock."""

    sent_at: float
    left: HostNs
    answered: bool = False
    synchronised: bool = False
    error: float = 0.0
    bound: float = 0.0

    @property
    def outside(self) -> bool:
        return self.synchronised and abs(self.error) > self.bound


class Judge:
    """Asks a server from many addresses, and holds each answer against the truth."""

    def __init__(self, server: tuple[str, int], truth: Truth) -> None:
        self.requests: list[Request] = []
        self._server = server
        self._truth = truth
        self._waiting: dict[int, Request] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        loop = asyncio.get_running_loop()
        with ExitStack() as parts:
            sockets = [parts.enter_context(_client(address)) for address in CLIENTS]
            for endpoint in sockets:
                loop.add_reader(endpoint, self._take, endpoint)
                parts.callback(loop.remove_reader, endpoint)
            for endpoint in itertools.cycle(sockets):
                self._ask(endpoint)
                await asyncio.sleep(INTERVAL)

    def longest_gap(self, excused: Callable[[float], bool]) -> tuple[float, float]:
        """The longest time in which no request was answered, outside excused times, and when it began."""
        gaps, last = [(0.0, 0.0)], None
        for request in self.requests:
            if request.answered or excused(request.sent_at) or last is None:
                last = request.sent_at
            else:
                gaps.append((request.sent_at - last, last))
        return max(gaps)

    def unsaid(self, said: Sequence[float]) -> list[Request]:
        """Unsynchronised answers of which the daemon has said nothing at that time."""
        return [
            each
            for each in self.requests
            if each.answered and not each.synchronised and not any(abs(at - each.sent_at) < SAID_WITHIN for at in said)
        ]

    def _ask(self, endpoint: socket.socket) -> None:
        nonce = secrets.randbits(64) or 1
        request = Request(time.monotonic(), HostNs(time.time_ns()))
        self.requests.append(request)
        self._waiting = {key: each for key, each in self._waiting.items() if request.sent_at - each.sent_at < 5}
        self._waiting[nonce] = request
        endpoint.sendto(build_header(Header(mode=Mode.CLIENT, transmit_timestamp=nonce)), self._server)

    def _take(self, endpoint: socket.socket) -> None:
        try:
            data, ancillary, _, _ = endpoint.recvmsg(1024, ANCILLARY_SIZE)
            header = parse_header(data)
        except (OSError, WireError):
            return
        request = self._waiting.pop(header.origin_timestamp, None)
        if request is None or header.mode is not Mode.SERVER:
            return
        request.answered = True
        request.synchronised = header.leap is not Leap.UNSYNCHRONISED and header.stratum > 0
        if request.synchronised:
            self._measure(request, header, receive_time(ancillary) or HostNs(time.time_ns()))

    def _measure(self, request: Request, header: Header, received_at: HostNs) -> None:
        """As a client does (RFC 5905 section 8), but with a clock that shows true time."""
        sent, received = self._truth.true_time(request.left), self._truth.true_time(received_at)
        arrived = from_ntp(header.receive_timestamp, WallNs(received))
        departed = from_ntp(header.transmit_timestamp, WallNs(received))
        request.error = seconds((arrived - sent) + (departed - received)) / 2
        delay = seconds((received - sent) - (departed - arrived))
        request.bound = header.root_delay / 2 + header.root_dispersion + delay / 2


def _client(address: str) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    endpoint.bind((address, 0))
    enable_receive_timestamps(endpoint)
    return endpoint


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process holds: resident memory in KiB, open descriptors."""

    memory_kib: int
    descriptors: int


def usage(process: int) -> Usage | None:
    """From /proc; None when the process has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
        descriptors = len(os.listdir(f"/proc/{process}/fd"))  # noqa: PTH208 - only their number
    except OSError:
        return None
    lines = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    return Usage(int(lines["VmRSS"].split()[0]), descriptors) if "VmRSS" in lines else None


def growth(found: Sequence[Usage]) -> Usage:
    """From the second quarter to the last: the first is for caches that fill."""
    quarter = len(found) // 4
    if not quarter:
        return Usage(0, 0)
    early, late = found[quarter : 2 * quarter], found[-quarter:]

    def risen(value: Callable[[Usage], int]) -> int:
        return round(statistics.median(map(value, late)) - statistics.median(map(value, early)))

    return Usage(risen(lambda each: each.memory_kib), risen(lambda each: each.descriptors))
