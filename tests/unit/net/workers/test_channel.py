import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.service import Route
from ntp_usg.net.workers.channel import (
    MAX_MESSAGE,
    Kind,
    build_packet,
    build_policy,
    parse_message,
    parse_packet,
    parse_policy,
)
from ntp_usg.sysapi.timestamping import LocalAddress

ROUTES = [
    Route(0, LocalAddress(b"\x7f\0\0\x01", 0), ("192.0.2.9", 40000)),
    Route(3, None, ("192.0.2.9", 1)),
    Route(1, LocalAddress(bytes(15) + b"\x01", 0), ("2001:db8::1", 65535, 0, 0)),
    Route(1, LocalAddress(b"\xfe\x80" + bytes(14), 2), ("fe80::1", 123, 77, 2)),
    Route(65535, None, ("::", 123, 0, 0)),
]


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", [Kind.REQUEST, Kind.ANSWER])
def test_a_packet_arrives_with_its_way_back(kind, route):
    arrived, body = parse_message(build_packet(kind, route, b"packet"))
    assert (arrived, *parse_packet(body)) == (kind, route, b"packet")


def test_an_empty_packet_is_still_a_packet():
    _, body = parse_message(build_packet(Kind.REQUEST, ROUTES[0], b""))
    assert parse_packet(body) == (ROUTES[0], b"")


@given(st.binary(max_size=100))
def test_whatever_a_worker_says_is_a_message_or_a_wire_error(data):
    with contextlib.suppress(WireError):
        parse_message(data)
    with contextlib.suppress(WireError):
        route, _ = parse_packet(data)
        assert len(route.packed_client) in {4, 16}


@pytest.mark.parametrize("data", [b"", b"\0", b"\x09rest", b"\xff"])
def test_a_message_of_unknown_kind_is_refused(data):
    with pytest.raises(WireError, match="unknown kind"):
        parse_message(data)


@pytest.mark.parametrize("lengths", [(0, 0), (5, 0), (4, 16), (16, 4), (4, 255), (255, 4)])
def test_a_route_of_no_single_family_is_refused(lengths):
    body = struct.pack("!BB", *lengths) + bytes(100)
    with pytest.raises(WireError, match="family"):
        parse_packet(body)


def test_a_policy_arrives_as_it_was_sent_whatever_its_size():
    many = tuple(f"2001:db8:{number:x}::/48" for number in range(20_000))
    for policy in (ServerPolicy(), ServerPolicy(allow=(), deny=("192.0.2.0/24",)), ServerPolicy(allow=many)):
        messages = build_policy(policy)
        assert all(len(message) <= MAX_MESSAGE for message in messages)
        kinds, bodies = zip(*map(parse_message, messages), strict=True)
        assert kinds == (Kind.POLICY_PART,) * (len(messages) - 1) + (Kind.POLICY_END,)
        assert parse_policy(b"".join(bodies)) == policy
