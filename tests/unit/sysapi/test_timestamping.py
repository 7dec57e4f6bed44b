"""Receive stamps and packet information on real loopback sockets."""

import socket
import struct
import time

import pytest

from ntp_usg.sysapi.timestamping import (
    ANCILLARY_SIZE,
    LocalAddress,
    departure_time,
    enable_departure_timestamps,
    enable_packet_info,
    enable_receive_timestamps,
    local_address,
    packet_info_control,
    receive_time,
)

MILLISECOND = 1_000_000


@pytest.fixture
def endpoints(request):
    """A server that listens on every address of the family, and a client."""
    family, wildcard = request.param
    with socket.socket(family, socket.SOCK_DGRAM) as server, socket.socket(family, socket.SOCK_DGRAM) as client:
        enable_packet_info(server)
        assert enable_receive_timestamps(server)
        server.bind((wildcard, 0))
        server.settimeout(2)
        client.settimeout(2)
        yield server, client


both_families = pytest.mark.parametrize(
    "endpoints", [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")], ids=["IPv4", "IPv6"], indirect=True
)
only_ipv4 = pytest.mark.parametrize("endpoints", [(socket.AF_INET, "0.0.0.0")], ids=["IPv4"], indirect=True)


def loopback(endpoint: socket.socket) -> str:
    return "::1" if endpoint.family == socket.AF_INET6 else "127.0.0.1"


def exchange(server: socket.socket, client: socket.socket, address: str):
    client.sendto(b"?", (address, server.getsockname()[1]))
    _, ancillary, flags, sender = server.recvmsg(64, ANCILLARY_SIZE)
    assert not flags & socket.MSG_CTRUNC
    server.sendmsg([b"!"], packet_info_control(local_address(ancillary)), 0, sender)
    answer, source = client.recvfrom(64)
    assert answer == b"!"
    return ancillary, source[0]


def stamp_of_a_datagram_read_late(server: socket.socket, client: socket.socket) -> tuple[int, int, int]:
    """Just before the send, the receive stamp, and just after the send: all ns of CLOCK_REALTIME; read 50 ms later."""
    before = time.time_ns()
    client.sendto(b"?", (loopback(server), server.getsockname()[1]))
    sent = time.time_ns()
    time.sleep(0.05)
    _, ancillary, _, _ = server.recvmsg(64, ANCILLARY_SIZE)
    stamp = receive_time(ancillary)
    assert stamp is not None
    return before, stamp, sent


@both_families
def test_the_stamp_tells_when_the_datagram_arrived(endpoints):
    # The kernel switches stamping on in the background; until then it stamps a datagram when that is read.
    attempts = (stamp_of_a_datagram_read_late(*endpoints) for _ in range(40))
    assert any(before <= stamp < sent + 20 * MILLISECOND for before, stamp, sent in attempts)


@both_families
def test_an_answer_comes_from_loopback_when_loopback_was_asked(endpoints):
    server, client = endpoints
    ancillary, source = exchange(server, client, loopback(server))
    assert source == loopback(server)
    assert local_address(ancillary) == LocalAddress(socket.inet_pton(server.family, loopback(server)), 0)


@only_ipv4
def test_an_answer_comes_from_the_address_that_was_asked(endpoints):
    server, client = endpoints
    client.bind(("127.0.0.1", 0))  # without packet information the answer would come from 127.0.0.1
    ancillary, source = exchange(server, client, "127.0.0.2")
    assert source == "127.0.0.2"
    assert local_address(ancillary) == LocalAddress(bytes([127, 0, 0, 2]), 0)


def test_a_link_local_address_keeps_its_interface():
    packed = socket.inet_pton(socket.AF_INET6, "fe80::1")
    ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("@16sI", packed, 3))]
    assert local_address(ancillary) == LocalAddress(packed, 3)
    assert packet_info_control(LocalAddress(packed, 3)) == ancillary


def test_a_global_address_leaves_the_way_back_to_routing():
    packed = socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("@16sI", packed, 3))]
    assert local_address(ancillary) == LocalAddress(packed, 0)


def test_a_multicast_group_is_no_address_to_answer_from():
    packed = socket.inet_pton(socket.AF_INET6, "ff02::101")
    ancillary = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("@16sI", packed, 3))]
    assert packet_info_control(local_address(ancillary)) == []


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        (37, struct.pack("@6l", 1_700_000_000, 5, 0, 0, 0, 0), 1_700_000_000_000_000_005),
        (35, struct.pack("@2l", 1_700_000_000, 5), 1_700_000_000_000_000_005),
        (65, struct.pack("=6q", 4_300_000_000, 5, 0, 0, 0, 0), 4_300_000_000_000_000_005),
        (64, struct.pack("=2q", 4_300_000_000, 5), 4_300_000_000_000_000_005),
        (37, bytes(48), None),
        (37, b"\1\0\0", None),
        (1, struct.pack("@2l", 1, 2), None),
    ],
    ids=[
        "TIMESTAMPING",
        "TIMESTAMPNS",
        "new TIMESTAMPING",
        "new TIMESTAMPNS",
        "no stamp",
        "cut short",
        "other message",
    ],
)
def test_every_layout_of_the_kernel_is_understood(kind, data, expected):
    assert receive_time([(socket.SOL_SOCKET, kind, data)]) == expected


def test_without_ancillary_data_nothing_is_known():
    assert receive_time([]) is None
    assert local_address([]) is None
    assert packet_info_control(None) == []


@both_families
def test_the_kernel_says_when_a_datagram_left_and_when_it_came_in(endpoints):
    server, client = endpoints
    client.setblocking(False)
    assert enable_departure_timestamps(client)
    assert departure_time(client) is None
    before = time.time_ns()
    client.sendto(b"?", (loopback(client), server.getsockname()[1]))
    stamp = departure_time(client)
    assert stamp is not None
    assert before <= stamp <= time.time_ns()
    assert departure_time(client) is None


@both_families
def test_an_icmp_error_is_no_departure(endpoints):
    server, client = endpoints
    port = server.getsockname()[1]
    server.close()
    client.setblocking(False)
    assert enable_departure_timestamps(client)
    client.sendto(b"?", (loopback(client), port))
    assert departure_time(client) is not None
    with pytest.raises(ConnectionRefusedError):
        client.recv(64)
    assert departure_time(client) is None
