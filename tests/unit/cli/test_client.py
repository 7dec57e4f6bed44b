import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from ntp_usg.cli import client
from ntp_usg.cli.client import Answer, NoAnswerError, ask
from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp
from ntp_usg.net import lookup

UdpServer = Callable[..., int]


def server_header(request: bytes, ahead: float = 0.0) -> Header:
    """The answer of a Stratum 1 server whose clock is `ahead` of this machine's."""
    now = to_ntp(WallNs(time.time_ns() + round(ahead * 1e9)))
    return Header(
        mode=Mode.SERVER,
        stratum=1,
        precision=-20,
        root_dispersion=0.001,
        reference_id=b"GPS\0",
        reference_timestamp=now,
        origin_timestamp=parse_header(request).transmit_timestamp,
        receive_timestamp=now,
        transmit_timestamp=now,
    )


def ask_port(port: int, timeout: float = 5.0) -> Answer:
    return asyncio.run(ask(ServerAddress("127.0.0.1", port), timeout))


def test_the_offset_is_how_far_the_server_is_ahead(udp_server: UdpServer):
    answer = ask_port(udp_server(lambda request: [build_header(server_header(request, ahead=1000.0))]))
    assert answer.offset == pytest.approx(1000.0, abs=1.0)
    assert -0.001 < answer.delay < 2.0
    assert answer.address == "127.0.0.1"
    assert answer.root_distance == pytest.approx(0.001 + max(answer.delay, 0.0) / 2, abs=2**-16)


def test_a_request_gives_nothing_away(udp_server: UdpServer):
    seen: list[bytes] = []

    def answers(request: bytes) -> list[bytes]:
        seen.append(request)
        return [build_header(server_header(request))]

    port = udp_server(answers)
    for _ in range(2):
        ask_port(port)
    first, second = map(parse_header, seen)
    assert first.transmit_timestamp != second.transmit_timestamp
    assert replace(first, transmit_timestamp=0) == Header(leap=Leap.NONE, version=4, mode=Mode.CLIENT)


def test_only_the_answer_to_our_own_question_counts(udp_server: UdpServer):
    def answers(request: bytes) -> list[bytes]:
        good = server_header(request)
        forged = replace(good, origin_timestamp=good.origin_timestamp ^ 1, reference_id=b"EVIL")
        return [
            b"",
            b"\xff" * 47,
            build_header(forged),
            build_header(replace(good, mode=Mode.BROADCAST, reference_id=b"EVIL")),
            b"\x3c" + build_header(good)[1:],  # version 7
            build_header(good),
        ]

    assert ask_port(udp_server(answers)).header.reference_id == b"GPS\0"


def test_silence_is_reported_with_what_to_look_at(udp_server: UdpServer):
    port = udp_server(lambda _: [])
    with pytest.raises(NoAnswerError, match=rf"no answer within 0\.05 s: .* UDP port {port} open"):
        ask_port(port, timeout=0.05)


def test_a_port_where_nobody_listens_is_reported_at_once():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(NoAnswerError, match=f"refused: nothing listens on UDP port {port} there"):
        ask_port(port)


def test_every_address_of_a_name_is_tried(udp_server: UdpServer):
    # `localhost` is ::1 first wherever it has both addresses; here only 127.0.0.1 answers.
    port = udp_server(lambda request: [build_header(server_header(request))])
    assert asyncio.run(ask(ServerAddress("localhost", port), 5.0)).address == "127.0.0.1"


@pytest.fixture
def two_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name has the addresses 127.0.0.2 and 127.0.0.1, in this order."""

    def resolve(server: ServerAddress) -> list[tuple[str, int]]:
        return [("127.0.0.2", server.port), ("127.0.0.1", server.port)]

    monkeypatch.setattr(lookup, "resolve", resolve)
    monkeypatch.setattr(client, "STAGGER", 0.01)


@contextmanager
def at_first_address(port: int, change: dict[str, Any] | None, delay: float = 0.0) -> Iterator[None]:
    """A server at 127.0.0.2 that answers with these fields, or never."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first:
        first.bind(("127.0.0.2", port))

        def answer() -> None:
            with contextlib.suppress(OSError):
                request, back = first.recvfrom(1024)
                time.sleep(delay)
                if change is not None:
                    first.sendto(build_header(replace(server_header(request), **change)), back)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield
        finally:
            first.sendto(bytes(48), ("127.0.0.2", port))
            thread.join()


@pytest.mark.usefixtures("two_addresses")
@pytest.mark.parametrize(
    "change", [None, {"leap": Leap.UNSYNCHRONISED}, {"stratum": 0, "reference_id": b"DENY"}, {"transmit_timestamp": 0}]
)
def test_an_address_that_is_silent_or_gives_no_good_time_does_not_hide_the_next(
    udp_server: UdpServer, change: dict[str, Any] | None
):
    port = udp_server(lambda request: [build_header(server_header(request))])
    with at_first_address(port, change):
        answer = asyncio.run(ask(ServerAddress("name", port), 5.0))
    assert (answer.address, answer.fault) == ("127.0.0.1", None)


@pytest.mark.usefixtures("two_addresses")
def test_an_address_far_away_is_listened_to_while_the_next_is_asked(udp_server: UdpServer):
    port = udp_server(lambda _: [])
    with at_first_address(port, {}, delay=0.1):
        assert asyncio.run(ask(ServerAddress("name", port), 5.0)).address == "127.0.0.2"


@pytest.mark.usefixtures("two_addresses")
def test_where_no_address_gives_good_time_the_first_answer_counts(udp_server: UdpServer):
    port = udp_server(lambda _: [])
    with at_first_address(port, {"leap": Leap.UNSYNCHRONISED}):
        answer = asyncio.run(ask(ServerAddress("name", port), 0.2))
    assert (answer.address, answer.fault) == ("127.0.0.2", Reason.UNSYNCHRONISED_SERVER)


def test_a_name_server_that_is_dead_costs_no_more_than_the_timeout(monkeypatch: pytest.MonkeyPatch):
    dead = threading.Event()
    monkeypatch.setattr(lookup, "resolve", lambda _server: dead.wait(30) and "unknown host: too late")
    begun = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"the name could not be looked up within 0\.05 s"):
        asyncio.run(ask(ServerAddress("name", 123), 0.05))
    assert time.monotonic() - begun < 10
    dead.set()


@pytest.mark.parametrize(
    ("junk", "words"),
    [
        (bytes(47), "shorter than the 48-byte NTP header"),
        (bytes([0x3C]) + bytes(47), "version"),
        (bytes([0x22]) + bytes(47), "its mode is not that of a server"),
        (bytes([0x24]) + bytes(47), "does not name our latest request"),
    ],
)
def test_junk_instead_of_an_answer_is_told_apart_from_silence(udp_server: UdpServer, junk: bytes, words: str):
    with pytest.raises(NoAnswerError, match=rf"no usable answer within 0\.2 s\. .*{words}"):
        ask_port(udp_server(lambda _: [junk]), timeout=0.2)


def test_ipv6_works_too(udp_server: UdpServer):
    port = udp_server(lambda request: [build_header(server_header(request))], host="::1")
    assert asyncio.run(ask(ServerAddress("::1", port), 5.0)).address == "::1"


@pytest.mark.parametrize("host", ["fe80::1%nosuchif", "a" * 300, ".."])  # none of these leaves the machine
def test_a_name_that_does_not_exist_is_reported(host: str):
    with pytest.raises(NoAnswerError, match="unknown host"):
        asyncio.run(ask(ServerAddress(host, 123), 5.0))
