"""A state to serve, requests to send, and clients that are real sockets on loopback."""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.net.counters import VerdictCounters
from ntp_usg.net.service import Route, Service
from ntp_usg.net.udp import open_sockets
from ntp_usg.sysapi.timex import read_clocks

StateMaker = Callable[..., ServingState]


@pytest.fixture
def good_state() -> StateMaker:
    """A synchronised state made now, as the control process makes it; keyword arguments replace its fields."""

    def make(**fields: Any) -> ServingState:
        host, now = read_clocks()
        values: dict[str, Any] = {
            "leap": Leap.NONE,
            "stratum": 1,
            "reference_id": b"GPS\0",
            "as_of": now,
            "expires_at": MonoNs(now + 60_000_000_000),
            "host_minus_mono_ns": host - now,
        }
        return ServingState(**values | fields)

    return make


@pytest.fixture
def client() -> Iterator[Callable[..., socket.socket]]:
    """Opens client sockets that give up after two seconds, and closes them."""
    opened = []

    def open_client(address: str = "127.0.0.1", port: int = 0) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        opened.append(sock)
        sock.settimeout(2)
        sock.bind((address, port))
        return sock

    yield open_client
    for sock in opened:
        sock.close()


@pytest.fixture
def request_packet() -> Callable[[], bytes]:
    """An NTPv4 client request that differs from all others."""
    return lambda: b"\x23" + bytes(39) + os.urandom(8)


@dataclass
class Bench:
    """A service on loopback whose every part a test can reach."""

    counters: VerdictCounters
    state: ServingState
    handed_up: list[tuple[Route, bytes]]
    takes_hand_ups: bool = True
    service: Service = field(init=False)

    @property
    def port(self) -> int:
        return int(self.service.endpoints[0].getsockname()[1])

    def hand_up(self, route: Route, packet: bytes) -> bool:
        self.handed_up.append((route, packet))
        return self.takes_hand_ups


@pytest.fixture
def bench(good_state: StateMaker) -> Iterator[Callable[..., Bench]]:
    opened: list[socket.socket] = []

    def build(*addresses: str, policy: ServerPolicy | None = None) -> Bench:
        endpoints = open_sockets(addresses or ["127.0.0.1:0"])
        opened.extend(endpoints)
        made = Bench(VerdictCounters(), good_state(), [])
        responder = Responder(policy or ServerPolicy())
        made.service = Service(endpoints, responder, lambda: made.state, made.counters, made.hand_up)
        return made

    yield build
    for sock in opened:
        sock.close()
