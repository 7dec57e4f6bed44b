from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.wire.control import (
    MAX_FRAGMENT_DATA,
    ControlMessage,
    Opcode,
    build_control,
    build_fragments,
    parse_control,
)

# What Debian's ntpq 1.2.2 sends for `ntpq -c "rv 0 leap"`, taken from its socket.
NTPQ_REQUEST = bytes.fromhex("d602000100000000000000046c656170")

messages = st.builds(
    ControlMessage,
    opcode=st.integers(0, 31),
    sequence=st.integers(0, 0xFFFF),
    version=st.integers(0, 7),
    leap=st.integers(0, 3),
    response=st.booleans(),
    error=st.booleans(),
    more=st.booleans(),
    status=st.integers(0, 0xFFFF),
    association=st.integers(0, 0xFFFF),
    offset=st.integers(0, 0xFFFF),
    data=st.binary(max_size=MAX_FRAGMENT_DATA),
)


def test_a_request_of_ntpq_is_understood():
    assert parse_control(NTPQ_REQUEST) == ControlMessage(
        opcode=Opcode.READ_VARIABLES, sequence=1, version=2, leap=3, data=b"leap"
    )


@given(messages)
def test_what_is_built_is_parsed_back(message: ControlMessage):
    packet = build_control(message)
    assert len(packet) % 4 == 0
    assert parse_control(packet) == message


def test_a_mac_behind_the_data_is_ignored():
    assert parse_control(NTPQ_REQUEST + bytes(24)).data == b"leap"


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (b"", "shorter than its 12-octet header"),
        (NTPQ_REQUEST[:11], "shorter than its 12-octet header"),
        (b"\x23" + NTPQ_REQUEST[1:], "mode 3"),
        (NTPQ_REQUEST[:-1], "cannot hold 4 octets"),
        (NTPQ_REQUEST[:10] + (469).to_bytes(2) + bytes(469), "cannot hold 469 octets"),
    ],
)
def test_what_is_no_control_message_is_refused_in_words(packet: bytes, words: str):
    with pytest.raises(WireError, match=words):
        parse_control(packet)


@given(st.binary(max_size=600))
def test_any_bytes_are_a_message_or_a_wire_error(data: bytes):
    with suppress(WireError):
        parse_control(data)


@given(st.binary(max_size=2000))
def test_fragments_join_to_the_data_they_were_cut_from(data: bytes):
    packets = build_fragments(ControlMessage(Opcode.READ_STATUS, sequence=7, data=data))
    parts = [parse_control(packet) for packet in packets]
    assert b"".join(part.data for part in parts) == data
    assert [part.offset for part in parts] == [sum(len(p.data) for p in parts[:i]) for i in range(len(parts))]
    assert [part.more for part in parts] == [True] * (len(parts) - 1) + [False]
    assert all(len(packet) <= 480 and len(packet) % 4 == 0 for packet in packets)
    assert len(packets) == max(1, -(-len(data) // MAX_FRAGMENT_DATA))
