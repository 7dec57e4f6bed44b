import socket
import struct
import sys
import time
from collections.abc import Callable

import pytest

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.wire.header import Header, parse_header
from ntp_usg.core.wire.timestamps import from_ntp
from ntp_usg.net.service import BATCH, FEW, PIECE
from ntp_usg.sysapi.datagram_batch import DatagramBatch
from ntp_usg.sysapi.timestamping import ANCILLARY_SIZE, enable_receive_timestamps, receive_time

HOUR_NS = 3_600_000_000_000
IP_RECVERR = 11


@pytest.fixture
def exchange(client, request_packet) -> Callable[..., Header]:
    """Ask a bench at an address of its, have it served, and read the answer."""

    def ask(bench, address: str = "127.0.0.1") -> Header:
        sock = client("::1" if ":" in address else "127.0.0.1")
        sock.sendto(request_packet(), (address, bench.port))
        bench.service.drain(0)
        return parse_header(sock.recv(1000))

    return ask


def times(answer: Header) -> tuple[int, int]:
    pivot = WallNs(time.time_ns())
    return from_ntp(answer.receive_timestamp, pivot), from_ntp(answer.transmit_timestamp, pivot)


@pytest.mark.parametrize(
    ("listen", "asked"),
    [
        ("0.0.0.0:0", "127.0.0.2"),
        ("0.0.0.0:0", "127.0.0.1"),
        ("127.0.0.2:0", "127.0.0.2"),
        ("[::]:0", "::1"),
        ("[::1]:0", "::1"),
        ("lo:0", "127.0.0.2"),
    ],
)
def test_an_answer_comes_from_the_address_and_port_that_was_asked(bench, client, request_packet, listen, asked):
    made = bench(listen)
    sock = client("::1" if ":" in asked else "127.0.0.1")
    sock.sendto(request_packet(), (asked, made.port))
    made.service.drain(0)
    _, source = sock.recvfrom(1000)
    assert source[:2] == (asked, made.port)


def test_the_receive_timestamp_is_the_kernels_and_not_when_we_came_to_read(bench, client, request_packet):
    made, sock = bench(), client()

    def ask() -> bool:
        """Whether the receive timestamp is of the arrival; read 2 ms later, and answered after that."""
        before = time.time_ns()
        sock.sendto(request_packet(), ("127.0.0.1", made.port))
        queued = time.time_ns()
        while time.time_ns() < queued + 2_000_000:
            pass
        made.service.drain(0)
        received, transmitted = times(parse_header(sock.recv(1000)))
        assert queued + 2_000_000 <= transmitted <= time.time_ns()
        return before <= received <= queued

    # The kernel switches stamping on in the background; until then it stamps a datagram when that is read.
    assert any(ask() for _ in range(100))


def test_served_time_is_the_host_clock_seen_through_the_mapping(bench, good_state, exchange):
    made = bench()
    made.state = good_state(mapping=ClockMapping(offset_ns=HOUR_NS))
    before = time.time_ns()
    received, transmitted = times(exchange(made))
    assert before + HOUR_NS - 1 <= received <= transmitted <= time.time_ns() + HOUR_NS


def test_an_expired_state_is_answered_unsynchronised(bench, good_state, exchange):
    made = bench()
    made.state = good_state(expires_at=MonoNs(time.monotonic_ns() - 1))
    answer = exchange(made)
    assert (answer.leap, answer.stratum, answer.reference_id) == (Leap.UNSYNCHRONISED, 0, b"INIT")


@pytest.mark.parametrize("moved_ns", [1_000_000, -1_000_000, HOUR_NS, -HOUR_NS])
def test_when_another_program_has_moved_the_host_clock_answers_are_unsynchronised(
    bench, good_state, exchange, moved_ns
):
    made = bench()
    made.state = good_state(host_minus_mono_ns=made.state.host_minus_mono_ns - moved_ns)
    answer = exchange(made)
    assert (answer.leap, answer.stratum, answer.reference_id) == (Leap.UNSYNCHRONISED, 0, b"INIT")
    made.state = good_state()
    assert exchange(made).leap is Leap.NONE


@pytest.fixture
def forge(monkeypatch) -> Callable[..., None]:
    """Have the datagrams of a bench changed after they have come in, into what no test can send."""

    def arrange(bench, change: Callable[[DatagramBatch], object]) -> None:
        batch = bench.service._batches[0]
        receive = batch.receive

        def receive_forged() -> int:
            count: int = receive()
            change(batch)
            return count

        monkeypatch.setattr(batch, "receive", receive_forged)

    return arrange


def restamp(batch: DatagramBatch, stamp: int) -> None:
    """Have the kernel have stamped all datagrams at another time, where its stamp begins with the seconds of now."""
    now = (time.time_ns() // 1_000_000_000).to_bytes(8, sys.byteorder)
    for row in batch._control:
        at = row.tobytes().find(now)
        if at >= 0:
            row[at : at + 16] = memoryview(struct.pack("=qq", *divmod(stamp, 1_000_000_000)))


@pytest.mark.fault(
    group="Time",
    kind="Requests have waited for over a second, or the clock was stepped after they came.",
    noticed="The kernel's receive stamp is too old, or lies in the future; they are counted as `dropped/untimely`.",
    served="No answer: its receive timestamp would be a guess.",
)
@pytest.mark.parametrize("number", [1, FEW])
@pytest.mark.parametrize("age_ns", [-1_000_000_000, 2_000_000_000])
def test_no_arrival_is_invented_for_a_request_whose_stamp_cannot_be_used(
    bench, request_packet, client, forge, age_ns, number
):
    made, sock = bench(), client()
    begin(made, sock, "127.0.0.1")
    forge(made, lambda batch: restamp(batch, time.time_ns() - age_ns))
    for _ in range(number):
        sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/bad_mode": 1, "dropped/untimely": number}
    sock.settimeout(0)
    with pytest.raises(BlockingIOError):
        sock.recv(1000)


def test_of_a_batch_only_the_untimely_get_no_answer(bench, request_packet, client, forge):
    made, sock = bench(), client()
    begin(made, sock, "127.0.0.1")

    def age_the_first(batch: DatagramBatch) -> None:
        rest = batch._control[1:].copy()
        restamp(batch, time.time_ns() - 2_000_000_000)
        batch._control[1:] = rest

    forge(made, age_the_first)
    for _ in range(FEW):
        sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/bad_mode": 1, "dropped/untimely": 1, "answered/basic": FEW - 1}


@pytest.mark.parametrize("number", [1, FEW])
@pytest.mark.parametrize("listen", ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"])
def test_our_own_address_and_port_is_no_client(bench, request_packet, listen, number):
    made = bench(listen)
    ourselves = "::1" if "[" in listen else "127.0.0.1"
    for together in (1, number):  # from the first the service learns how to read many at once
        for _ in range(together):
            made.service.endpoints[0].sendto(request_packet(), (ourselves, made.port))
        made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/bad_source": 1 + number}


def test_a_client_with_our_port_at_another_address_is_served(bench, client, request_packet):
    made = bench()
    sock = client("127.0.0.9", made.port)
    sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert parse_header(sock.recv(1000)).stratum == 1


def test_source_port_0_is_no_client(bench, request_packet, client, forge):
    made, sock = bench(), client()
    forge(made, lambda batch: batch.ports.fill(0))
    sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/bad_source": 1}


def test_every_datagram_is_counted_under_its_verdict(bench, client, request_packet):
    made, sock = bench(policy=ServerPolicy(deny=("127.0.0.7/32",))), client()
    for packet in (request_packet(), request_packet(), b"", b"short", request_packet() * 40):
        sock.sendto(packet, ("127.0.0.1", made.port))
    client("127.0.0.7").sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {
        "answered/basic": 2,
        "dropped/too_short": 2,
        "dropped/too_long": 1,
        "dropped/access_denied": 1,
    }
    assert made.counters.clients == 1


def test_one_busy_socket_does_not_keep_the_others_waiting(bench, client, request_packet):
    made, sock = bench(policy=ServerPolicy(rate_limit=False)), client()
    for _ in range(BATCH + 1):
        sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"answered/basic": BATCH}


def test_an_error_of_an_earlier_answer_does_not_end_the_serving(bench, client, request_packet):
    made = bench()
    made.service.endpoints[0].setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)  # so that ICMP errors come to us at all
    gone = client()
    gone.sendto(request_packet(), ("127.0.0.1", made.port))
    gone.close()
    made.service.drain(0)
    sock = client()
    sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert parse_header(sock.recv(1000)).stratum == 1


@pytest.mark.parametrize("number", [2, FEW + 1])
def test_an_answer_that_the_kernel_refuses_is_counted_as_such_and_keeps_no_other_back(
    bench, client, request_packet, forge, number
):
    made, sock = bench("0.0.0.0:0"), client()

    def not_asked_at_an_address_of_ours(batch: DatagramBatch) -> None:
        control = batch._control[0].tobytes().replace(socket.inet_aton("127.0.0.1"), socket.inet_aton("192.0.2.77"))
        batch._control[0] = memoryview(control)

    forge(made, not_asked_at_an_address_of_ours)
    for _ in range(number):
        sock.sendto(request_packet(), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/send_failed": 1, "answered/basic": number - 1}
    for _ in range(number - 1):
        assert parse_header(sock.recv(1000)).stratum == 1


@pytest.fixture(params=[True, False], ids=["hurried", "unhurried"])
def hurry(request, monkeypatch) -> None:
    """So many requests at once are taken for a flood, or not even that many."""
    monkeypatch.setattr("ntp_usg.net.service.HURRIED_NS", 10**18 if request.param else 0)


def begin(made, sock: socket.socket, address: str) -> None:
    """Have one datagram dropped: from the first the service learns how to read many at once."""
    sock.sendto(b"\x24" + bytes(47), (address, made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/bad_mode": 1}


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("number", [1, FEW, PIECE, BATCH])
def test_no_answer_leaves_before_the_moment_that_it_is_stamped_with(bench, client, request_packet, number):
    made, sock = bench(policy=ServerPolicy(rate_limit=False)), client()
    enable_receive_timestamps(sock)
    early = []
    for _ in range(20):
        for _ in range(number):
            sock.sendto(request_packet(), ("127.0.0.1", made.port))
        made.service.drain(0)
        for _ in range(number):
            answer, ancillary, _, _ = sock.recvmsg(1000, ANCILLARY_SIZE)
            arrived = receive_time(ancillary)  # on loopback, that is when it left
            assert arrived
            received, transmitted = times(parse_header(answer))
            assert received <= transmitted
            early.append(transmitted - arrived)
    early.sort()
    # A datagram may be lost in a piece whose pace was never so fast; the odd microsecond is below all root dispersions.
    assert early[-1] < 5_000
    assert early[-1 - len(early) // 100] < 0


@pytest.mark.usefixtures("hurry")
def test_of_a_batch_in_which_nothing_is_answered_each_comes_to_its_end(bench, client):
    made, sock = bench(policy=ServerPolicy(rate_limit=False)), client()
    begin(made, sock, "127.0.0.1")
    for _ in range(2 * FEW):
        sock.sendto(b"\x24" + bytes(47), ("127.0.0.1", made.port))
        sock.sendto(b"\x16\x02" + bytes(10), ("127.0.0.1", made.port))
    assert made.service.drain(0) == 4 * FEW
    assert made.counters.as_dict() == {"dropped/bad_mode": 1 + 2 * FEW, "handed_up/not_for_worker": 2 * FEW}


@pytest.mark.usefixtures("hurry")
@pytest.mark.parametrize("listen", ["0.0.0.0:0", "127.0.0.1:0", "[::]:0", "[::1]:0"])
def test_a_batch_is_answered_like_its_requests_one_by_one(bench, client, request_packet, listen):
    made = bench(listen, policy=ServerPolicy(deny=("127.0.0.7",), rate_limit=False))
    hosts = ["::1"] if "[" in listen else ["127.0.0.1", "127.0.0.2", "127.0.0.7"]
    socks = {host: client(host) for host in hosts}
    requests: dict[str, list[bytes]] = {host: [] for host in hosts}
    begin(made, socks[hosts[0]], hosts[0])
    for row in range(3 * FEW):
        host = hosts[row % len(hosts)]
        packet = request_packet() if row % 5 else b"\x24" + bytes(47)  # some are answers, and no requests
        requests[host] += [packet] if row % 5 else []
        socks[host].sendto(packet, ("::1" if "[" in listen else "127.0.0.1", made.port))
    made.service.drain(0)
    denied = requests.pop("127.0.0.7", [])
    for host, packets in requests.items():
        for packet in packets:
            data, source = socks[host].recvfrom(1000)
            assert source[1] == made.port
            assert data[24:32] == packet[40:]
            received, transmitted = times(parse_header(data))
            assert time.time_ns() - 1_000_000_000 < received <= transmitted < time.time_ns() + 1_000_000
    counts = made.counters.as_dict()
    assert counts.pop("dropped/bad_mode") == 1 + len([row for row in range(3 * FEW) if row % 5 == 0])
    assert counts.pop("answered/basic") == sum(map(len, requests.values()))
    assert counts == ({"dropped/access_denied": len(denied)} if denied else {})


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "127.0.0.3:0"])
def test_what_is_handed_up_can_be_answered_from_the_address_that_was_asked(bench, client, listen):
    made, sock = bench(listen), client()
    question = b"\x16\x02" + bytes(10)
    sock.sendto(question, ("127.0.0.3", made.port))
    made.service.drain(0)
    [(route, packet)] = made.handed_up
    assert (packet, route.packed_client) == (question, b"\x7f\0\0\x01")
    assert made.service.send(route, b"answer")
    assert sock.recvfrom(1000) == (b"answer", ("127.0.0.3", made.port))
    assert made.counters.as_dict() == {"handed_up/not_for_worker": 1}


@pytest.mark.parametrize("event_loop", ["", "select"])
def test_what_was_asked_at_a_broadcast_address_is_answered_from_one_of_ours(
    bench, client, request_packet, monkeypatch, event_loop
):
    monkeypatch.setenv("NTP_USG_EVENT_LOOP", event_loop)
    made, sock = bench("127.255.255.255:0"), client()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    for packet in (b"\x16\x02" + bytes(10), request_packet()):
        sock.sendto(packet, ("127.255.255.255", made.port))
        made.service.drain(0)
    [(route, _)] = made.handed_up
    assert made.service.send(route, b"answer")
    assert [sock.recvfrom(1000)[1] for _ in range(2)] == [("127.0.0.1", made.port)] * 2


def test_what_cannot_be_handed_up_is_counted_as_dropped(bench, client):
    made = bench()
    made.takes_hand_ups = False
    client().sendto(b"\x16\x02" + bytes(10), ("127.0.0.1", made.port))
    made.service.drain(0)
    assert made.counters.as_dict() == {"dropped/queue_full": 1}


@pytest.mark.parametrize(
    ("listen", "asked"), [("0.0.0.0:0", "127.0.0.2"), ("127.0.0.2:0", "127.0.0.2"), ("[::]:0", "::1")]
)
def test_where_system_calls_for_many_are_unknown_datagrams_are_served_one_at_a_time(
    bench, client, request_packet, monkeypatch, listen, asked
):
    monkeypatch.setenv("NTP_USG_EVENT_LOOP", "select")
    made = bench(listen)
    sock = client("::1" if ":" in asked else "127.0.0.1")
    for _ in range(2):
        sock.sendto(request_packet(), (asked, made.port))
    assert [made.service.drain(0) for _ in range(3)] == [1, 1, 0]
    data, source = sock.recvfrom(1000)
    assert source[:2] == (asked, made.port)
    received, transmitted = times(parse_header(data))
    assert received <= transmitted <= time.time_ns() + 1_000_000
    assert made.counters.as_dict() == {"answered/basic": 2}
