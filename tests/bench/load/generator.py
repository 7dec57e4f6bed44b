"""Asks a server for the time, from many addresses and as fast as wanted, and checks what comes back.

A program of its own, so that it can be pinned to a core; prints one line of JSON. It never sleeps: what it measures
must not wait for it to wake up.
"""

import argparse
import contextlib
import json
import random
import socket
import sys
import time
from dataclasses import dataclass, field
from ipaddress import IPv4Address

import numpy as np
from numpy.typing import NDArray

from ntp_usg.net.udp import RECEIVE_BUFFER, never_fragment
from ntp_usg.sysapi.datagram_batch import HEAD, DatagramBatch
from ntp_usg.sysapi.timestamping import IP_PKTINFO, LocalAddress, enable_receive_timestamps

Integers = NDArray[np.int64]
Words = NDArray[np.uint64]

BATCH = 256
ROWS = np.arange(BATCH)
LONGEST = 90
ANYBODY = LocalAddress(bytes(4), 0)
"""Of our addresses; which one it was does not matter."""
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
STALLED_NS = 200_000_000
"""Without any answer for so long, what is outstanding counts as lost."""
LINGER_NS = 50_000_000
"""How long answers may still come after the last request."""
TOKENS = 1 << 16
"""Different ones: a request under way meets none of its own kind again."""
UNIX_EPOCH = 2_208_988_800
SLOT = np.array(0xFFFFFFFF, np.uint64)
"""The part of a token that says whose it is; the other is random. A token is a transmit field as it lies in memory."""
ORIGIN, RECEIVE, TRANSMIT = 3, 4, 5
"""Which of the header's six 64-bit words."""


class Questions(DatagramBatch):
    """Requests to one server, each from an address of its own; only what differs is written again."""

    def __init__(self, endpoint: socket.socket, server: tuple[str, int]) -> None:
        super().__init__(endpoint, BATCH, HEAD, ANYBODY)
        self.heads[:, 0] = 0o43  # version 4, client
        self._tokens = self.heads.view(np.uint64)[:, TRANSMIT]
        address = socket.inet_aton(server[0])
        name = socket.AF_INET.to_bytes(2, "little") + server[1].to_bytes(2, "big") + address
        self._names[:, : len(name)] = np.frombuffer(name, np.uint8)
        control = np.zeros((BATCH, 8), np.uint32)  # struct cmsghdr and in_pktinfo of each
        control[:, 0], control[:, 3] = 28, IP_PKTINFO
        self._control_out = control
        self._sources = control[:, 5]
        message = self._answers["message"]
        message["control"] = np.uintp(control.ctypes.data) + np.arange(BATCH, dtype=np.uintp) * np.uintp(32)
        message["control_length"] = 28

    def send(self, tokens: Words, sources: NDArray[np.uint32]) -> int:
        """How many the kernel took."""
        count = len(tokens)
        self._tokens[:count] = tokens
        self._sources[:count] = sources
        return count - len(self.answer_many(ROWS[:count]))


class Requester:
    """A socket with some slots, each of which has at most one request under way."""

    def __init__(self, server: tuple[str, int], slots: int) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        with contextlib.suppress(PermissionError):
            self._socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
            self._socket.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, RECEIVE_BUFFER)
        enable_receive_timestamps(self._socket)
        never_fragment(self._socket)
        self._socket.bind(("0.0.0.0", 0))
        self.port: int = self._socket.getsockname()[1]
        self._questions = Questions(self._socket, server)
        self.answers = DatagramBatch(self._socket, BATCH, LONGEST, ANYBODY)
        self.slots = slots
        self.tokens = np.zeros(slots, np.uint64)
        """Of what is under way; 0 = nothing."""
        self.given_up = np.zeros(slots, np.uint64)
        self.sent_at = np.zeros(slots, np.int64)
        self.row_of = np.zeros(slots, np.int64)

    def close(self) -> None:
        self._socket.close()

    def ask(self, slots: Integers, clients: "Clients") -> int:
        """Send a request for each of these slots (at most BATCH); how many the kernel took."""
        tokens, sources = clients.take(len(slots))
        tokens |= slots.view(np.uint64)
        self.given_up[slots] = self.tokens[slots]
        self.tokens[slots] = tokens
        self.sent_at[slots] = time.time_ns()
        return self._questions.send(tokens, sources)

    def take_in(self) -> int:
        """How many answers have come; their stamps are valid."""
        count = self.answers.receive()
        if count and not self.answers.read_all(count):
            for row in range(count):
                self.answers.stamps[row] = self.answers.read(row).stamp
        return count


@dataclass
class Findings:
    """What came back. Only what the next requests depend on is done at once, the rest by `summary`: it takes time."""

    sent: int = 0
    answered: int = 0
    late: int = 0
    """Right, but after it was given up."""
    invalid: int = 0
    lost: int = 0
    idle_ns: int = 0
    """How long there was nothing to do but to wait for the server."""
    _kept: list[tuple[Words, NDArray[np.uint32], Integers, Integers]] = field(default_factory=list)
    """Headers, lengths, when they came, when their requests left."""

    def take(self, requester: Requester, count: int) -> Integers:
        """Take `count` answers; the slots whose requests they answer."""
        words = requester.answers.heads[:count].view(np.uint64).copy()
        tokens = words[:, ORIGIN]
        slots = (tokens & SLOT).view(np.int64)
        slots[slots >= requester.slots] = 0
        ours = (requester.tokens[slots] == tokens) & (tokens != 0)
        requester.row_of[slots[ours]] = ROWS[:count][ours]
        ours &= requester.row_of[slots] == ROWS[:count]  # of an answer that came twice, the last one counts
        if np.count_nonzero(ours) < count:
            late = int(np.count_nonzero(~ours & (requester.given_up[slots] == tokens) & (tokens != 0)))
            self.late += late
            self.invalid += count - len(slots[ours]) - late
            words, slots = words[ours], slots[ours]
        requester.tokens[slots] = 0
        lengths, stamps = requester.answers.lengths[:count][ours], requester.answers.stamps[:count][ours]
        self._kept.append((words, lengths, stamps, requester.sent_at[slots]))
        self.answered += len(slots)
        return slots

    def summary(self, nanoseconds: int) -> dict[str, object]:
        """For JSON: counts, and percentiles in microseconds.

        response: from just before the request to the answer's stamp; arrival: to T2; age: from T3 to that stamp.
        """
        empty = np.zeros((0, 6), np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.int64), np.zeros(0, np.int64)
        words, lengths, arrived, sent = map(np.concatenate, zip(empty, *self._kept, strict=True))
        octets = words.view(np.uint8)
        received, transmitted = words[:, RECEIVE].byteswap(), words[:, TRANSMIT].byteswap()
        proper = (lengths == HEAD) & (octets[:, 0] & 0o77 == 0o44) & (received <= transmitted)
        invalid = int(np.count_nonzero(~proper))
        arrived, sent = arrived[proper], sent[proper]
        return {
            "seconds": nanoseconds / 1e9,
            "busy": 1 - self.idle_ns / nanoseconds,
            "sent": self.sent,
            "answered": self.answered - invalid,
            "late": self.late,
            "invalid": self.invalid + invalid,
            "lost": self.lost,
            "unsynchronised": int(np.count_nonzero((octets[proper, 0] >> 6 == 3) | (octets[proper, 1] == 0))),
            "response": percentiles(arrived - sent),
            "arrival": percentiles(to_unix(received[proper]) - sent),
            "age": percentiles(arrived - to_unix(transmitted[proper])),
        }


def percentiles(values: Integers) -> dict[str, float]:
    """In microseconds."""
    if not len(values):
        return {}
    return {f"p{part}": float(np.percentile(values, part)) / 1e3 for part in (1, 50, 99)}


def to_unix(timestamps: Words) -> Integers:
    """NTP timestamps of this era as Unix nanoseconds."""
    whole = (timestamps >> np.uint64(32)).view(np.int64) - UNIX_EPOCH
    parts = ((timestamps & np.uint64(0xFFFFFFFF)) * np.uint64(1_000_000_000)) >> np.uint64(32)
    return whole * 1_000_000_000 + parts.view(np.int64)


class Clients:
    """The addresses that ask, in an order that no cache likes; all of them before any does so again."""

    def __init__(self, first: str, number: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        addresses = (int(IPv4Address(first)) + random.permutation(number)).astype(">u4").view(np.uint32)
        # Made beforehand, and longer by a batch so that each is a slice: what the generator has to do slows it down.
        self._addresses = np.resize(addresses, number + BATCH)
        self._tokens = random.integers(1, 2**31, TOKENS + BATCH, np.uint64) << np.uint64(32)
        self._number = number
        self._next = [0, 0]

    def take(self, count: int) -> tuple[Words, NDArray[np.uint32]]:
        """The random parts of so many tokens, and addresses as on the wire."""
        token, address = self._next
        self._next = [(token + count) % TOKENS, (address + count) % self._number]
        return self._tokens[token : token + count].copy(), self._addresses[address : address + count]


def saturate(
    requesters: list[Requester], clients: Clients, window: int, seconds: float, requests: float
) -> tuple[Findings, int]:
    """Keep `window` requests under way on each socket, until so much time is over or so many requests are sent."""
    findings = Findings()
    waiting = [np.arange(window) for _ in requesters]
    started = last = now = time.monotonic_ns()
    while now < started + seconds * 1e9 and findings.sent < requests:
        fruitless = True
        for index, requester in enumerate(requesters):
            most = int(min(BATCH, requests - findings.sent))
            if len(slots := waiting[index][:most]):
                findings.sent += requester.ask(slots, clients)
                waiting[index] = waiting[index][most:]
                fruitless = False
            elif count := requester.take_in():
                waiting[index] = findings.take(requester, count)
                fruitless = False
        before, now = now, time.monotonic_ns()
        if not fruitless:
            last = now
            continue
        findings.idle_ns += now - before
        if now - last > STALLED_NS:
            last = now
            waiting = [np.flatnonzero(requester.tokens) for requester in requesters]
            findings.lost += sum(map(len, waiting))
    linger(requesters, findings)
    return findings, now - started


def pace(requester: Requester, clients: Clients, rate: float, seconds: float) -> tuple[Findings, int]:
    """Ask `rate` times a second at random moments, whatever comes back."""
    findings = Findings()
    gaps = random.Random(1)
    started = now = time.monotonic_ns()
    due, slot = float(started), 0
    while now < started + seconds * 1e9:
        number = 0
        while due <= now and number < BATCH:
            due += gaps.expovariate(rate) * 1e9
            number += 1
        if number:
            findings.sent += requester.ask(np.arange(slot, slot + number) % requester.slots, clients)
            slot += number
        count = requester.take_in()
        if count:
            findings.take(requester, count)
        before, now = now, time.monotonic_ns()
        if not (number or count):
            findings.idle_ns += now - before
    linger([requester], findings)
    findings.lost = findings.sent - findings.answered - findings.late
    return findings, now - started


def linger(requesters: list[Requester], findings: Findings) -> None:
    """Take in what is still under way."""
    end = time.monotonic_ns() + LINGER_NS
    while time.monotonic_ns() < end and any(np.count_nonzero(requester.tokens) for requester in requesters):
        for requester in requesters:
            if count := requester.take_in():
                findings.take(requester, count)


def main() -> None:
    """Ask, and print what was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.load.generator", description=__doc__)
    parser.add_argument("server", help="address:port")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rate", type=float, help="requests a second; without it as many as are answered")
    parser.add_argument(
        "--requests", type=float, default=float("inf"), help="end after so many, where no rate is given"
    )
    parser.add_argument("--sockets", type=int, default=8)
    parser.add_argument("--window", type=int, default=32, help="requests under way on each socket")
    parser.add_argument("--clients", type=int, default=256, help="addresses that ask")
    parser.add_argument("--first-client", default="127.1.0.0", help="the first of them; all must be this machine's own")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--on-command", action="store_true", help="say `ready`, begin when a line comes in, say `done`")
    options = parser.parse_args()
    host, _, port = options.server.rpartition(":")
    clients = Clients(options.first_client, options.clients, options.seed)
    slots, number = (1 << 16, 1) if options.rate else (options.window, options.sockets)
    requesters = [Requester((host, int(port)), slots) for _ in range(number)]
    if options.on_command:
        print("ready", flush=True)
        sys.stdin.readline()
    if options.rate:
        findings, elapsed = pace(requesters[0], clients, options.rate, options.seconds)
    else:
        findings, elapsed = saturate(requesters, clients, options.window, options.seconds, options.requests)
    if options.on_command:
        print("done", flush=True)
    print(json.dumps(findings.summary(elapsed)))


if __name__ == "__main__":
    main()
