"""Asks a server on this machine for the time, from many addresses and as fast as wanted, and checks what comes back.

A program of its own, so that it can be pinned to a core: `python generator.py --help`. Prints one line of JSON.
"""

import argparse
import json
import random
import socket
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ntp_usg.net.udp import RECEIVE_BUFFER
from ntp_usg.sysapi.datagram_batch import DatagramBatch
from ntp_usg.sysapi.timestamping import IP_PKTINFO, enable_packet_info, enable_receive_timestamps

BATCH = 64
SO_RCVBUFFORCE = 33
LOOPBACK = 127 << 24
STALLED = 0.05
"""Seconds without any answer after which what is outstanding counts as lost."""
UNIX_EPOCH = 2_208_988_800


class Requester(DatagramBatch):
    """A socket that asks one server; its rows are requests on the way out and answers on the way in."""

    def __init__(self, server: tuple[str, int], slots: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, RECEIVE_BUFFER)
        enable_receive_timestamps(self.socket)
        enable_packet_info(self.socket)
        self.socket.bind(("0.0.0.0", 0))
        super().__init__(self.socket, BATCH, 90)
        self._server = np.frombuffer(
            socket.AF_INET.to_bytes(2, "little") + server[1].to_bytes(2, "big") + socket.inet_aton(server[0]), np.uint8
        )
        self._sources_out = np.zeros((BATCH, 32), np.uint8)  # struct cmsghdr and in_pktinfo of each request
        self._sources_out[:, :16] = np.frombuffer(
            (28).to_bytes(8, "little") + (0).to_bytes(4, "little") + IP_PKTINFO.to_bytes(4, "little"), np.uint8
        )
        self._control_out = np.uintp(self._sources_out.ctypes.data) + np.arange(BATCH, dtype=np.uintp) * np.uintp(32)
        self.slots = slots
        self.tokens = np.zeros(slots, np.uint64)
        self.sent_at = np.zeros(slots, np.int64)

    def ask(self, slots: NDArray[np.int64], sources: NDArray[np.uint64], random_: np.random.Generator) -> int:
        """Send one request for each slot (at most BATCH), from these addresses; how many the kernel took."""
        count = len(slots)
        tokens = random_.integers(1, 2**31, count, np.uint64) << np.uint64(32) | slots.view(np.uint64)
        self.heads[:count] = 0
        self.heads[:count, 0] = 0x23
        self.heads[:count].view(np.uint64)[:, 5] = tokens.byteswap()
        self._names[:count, :8] = self._server
        self._sources_out[:count, 20:24] = sources.astype(">u4").view(np.uint8).reshape(-1, 4)
        message = self._answers["message"]
        message["control"][:count], message["control_length"][:count] = self._control_out[:count], 28
        self._usual = False
        self.tokens[slots], self.sent_at[slots] = tokens, time.time_ns()
        return count - len(self.answer_many(np.arange(count)))

    def take_in(self) -> int:
        """What has come; the stamps are valid."""
        count = self.receive()
        if count and not self.read_all(count):
            for row in range(count):
                self.stamps[row] = self.read(row).stamp
        return count


@dataclass
class Findings:
    """What came back. Times in nanoseconds."""

    sent: int = 0
    answered: int = 0
    invalid: int = 0
    unsynchronised: int = 0
    lost: int = 0
    response: list[NDArray[np.int64]] = field(default_factory=list)
    arrival: list[NDArray[np.int64]] = field(default_factory=list)
    """T2 minus the time just before the request was sent."""
    return_: list[NDArray[np.int64]] = field(default_factory=list)
    """When the answer came minus T3."""

    def take(self, requester: Requester, count: int) -> NDArray[np.int64]:
        """Check `count` answers; the slots of those that are right."""
        heads = requester.heads[:count]
        words = heads.view(np.uint64).byteswap()
        slots = (words[:, 3] & np.uint64(0xFFFFFFFF)).view(np.int64)
        known = slots < requester.slots
        slots = np.where(known, slots, 0)
        right = known & (requester.tokens[slots] == words[:, 3]) & (requester.lengths[:count] == 48)
        right &= (heads[:, 0] & 0x3F) == 0x24
        good = slots[right]
        self.answered += len(good)
        self.invalid += count - len(good)
        self.unsynchronised += int(np.count_nonzero((heads[right, 0] >> 6 == 3) | (heads[right, 1] == 0)))
        sent, arrived = requester.sent_at[good], requester.stamps[:count][right]
        self.response.append(arrived - sent)
        self.arrival.append(to_unix(words[right, 4]) - sent)
        self.return_.append(arrived - to_unix(words[right, 5]))
        requester.tokens[good] = 0
        return good

    def summary(self, seconds: float) -> dict[str, object]:
        """For JSON: counts, rate, and percentiles in microseconds."""
        return {
            "seconds": seconds,
            "answers_per_second": self.answered / seconds,
            **{name: getattr(self, name) for name in ("sent", "answered", "invalid", "unsynchronised", "lost")},
            **{name: percentiles(getattr(self, name)) for name in ("response", "arrival", "return_")},
        }


def percentiles(parts: list[NDArray[np.int64]]) -> dict[str, float]:
    """50th and 99th, in microseconds."""
    values = np.concatenate(parts) if parts else np.zeros(1)
    return {"p50": float(np.percentile(values, 50)) / 1e3, "p99": float(np.percentile(values, 99)) / 1e3}


def to_unix(timestamps: NDArray[np.uint64]) -> NDArray[np.int64]:
    """NTP timestamps of this era as Unix nanoseconds."""
    whole = (timestamps >> np.uint64(32)).view(np.int64) - UNIX_EPOCH
    parts = ((timestamps & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000_000)) >> np.uint64(32)
    nanoseconds: NDArray[np.int64] = whole * 1_000_000_000 + parts.view(np.int64)
    return nanoseconds


class Clients:
    """The addresses that ask, each in its turn."""

    def __init__(self, number: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._addresses = (LOOPBACK + 0x10000 + self.random.permutation(number)).astype(np.uint64)
        self._next = 0

    def take(self, count: int) -> NDArray[np.uint64]:
        indexes = (self._next + np.arange(count)) % len(self._addresses)
        self._next = (self._next + count) % len(self._addresses)
        return self._addresses[indexes]


def saturate(requesters: list[Requester], clients: Clients, window: int, seconds: float) -> dict[str, object]:
    """Keep `window` requests under way on each socket."""
    findings = Findings()
    started = last = time.monotonic()
    for requester in requesters:
        for first in range(0, window, BATCH):
            slots = np.arange(first, min(window, first + BATCH))
            findings.sent += requester.ask(slots, clients.take(len(slots)), clients.random)
    while (now := time.monotonic()) < started + seconds:
        for requester in requesters:
            if count := requester.take_in():
                last = now
                slots = findings.take(requester, count)
                if len(slots):
                    findings.sent += requester.ask(slots, clients.take(len(slots)), clients.random)
        if now - last > STALLED:
            last = now
            for requester in requesters:
                lost = np.flatnonzero(requester.tokens[:window])
                findings.lost += len(lost)
                for first in range(0, len(lost), BATCH):
                    slots = lost[first : first + BATCH]
                    findings.sent += requester.ask(slots, clients.take(len(slots)), clients.random)
    return findings.summary(time.monotonic() - started)


def pace(requesters: list[Requester], clients: Clients, rate: float, seconds: float) -> dict[str, object]:
    """Ask `rate` times a second at random moments, whatever comes back."""
    findings = Findings()
    gaps = random.Random(1)
    started = time.monotonic()
    due = started
    slot = 0
    while (now := time.monotonic()) < started + seconds:
        requester = requesters[0]
        number = 0
        while due <= now and number < BATCH:
            due += gaps.expovariate(rate)
            number += 1
        if number:
            slots = np.arange(slot, slot + number) % requester.slots
            slot += number
            findings.sent += requester.ask(slots, clients.take(number), clients.random)
        while count := requester.take_in():
            findings.take(requester, count)
    end = time.monotonic() + STALLED
    while time.monotonic() < end:
        if count := requesters[0].take_in():
            findings.take(requesters[0], count)
    findings.lost = findings.sent - findings.answered
    return findings.summary(seconds)


def main() -> None:
    """Ask, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("server", help="address:port, on this machine")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, help="requests a second; without it as many as are answered")
    parser.add_argument("--sockets", type=int, default=8)
    parser.add_argument("--window", type=int, default=32, help="requests under way on each socket")
    parser.add_argument("--clients", type=int, default=256, help="addresses that ask, of 127.0.0.0/8")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    host, _, port = options.server.rpartition(":")
    slots = max(options.window, 1 << 16 if options.rate else 1)
    requesters = [Requester((host, int(port)), slots) for _ in range(1 if options.rate else options.sockets)]
    clients = Clients(options.clients, options.seed)
    if options.rate:
        result = pace(requesters, clients, options.rate, options.seconds)
    else:
        result = saturate(requesters, clients, options.window, options.seconds)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
