import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.receivers.recording import LONGEST_CHUNK, LONGEST_LINE, Chunk, build_chunk, parse_chunk

LINE = b'{"at_ns": 1771243200123456789, "hex": "24474e"}\n'
CHUNK = Chunk(HostNs(1_771_243_200_123_456_789), b"$GN")


def test_a_chunk_is_one_line_of_json():
    assert build_chunk(CHUNK) == LINE


@given(st.integers(0, 2**63 - 1), st.binary(max_size=LONGEST_CHUNK))
def test_every_chunk_survives_the_file(at, data):
    chunk = Chunk(HostNs(at), data)
    assert len(build_chunk(chunk)) <= LONGEST_LINE
    assert parse_chunk(build_chunk(chunk)) == chunk


def test_unknown_keys_are_left_to_others():
    assert parse_chunk(LINE.replace(b"}", b', "note": "antenna moved"}')) == CHUNK


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"$GNRMC,120000\r\n",
        b"[]",
        b"7",
        b"null",
        b"[" * 8000,
        b"\xff\xfe",
        b'{"at_ns": 1}',
        b'{"at_ns": 1, "hex": 7}',
        b'{"at_ns": 1, "hex": "2"}',
        b'{"at_ns": 1, "hex": "xy"}',
        b'{"at_ns": -1, "hex": ""}',
        b'{"at_ns": true, "hex": ""}',
        b'{"at_ns": 1.5, "hex": ""}',
        b'{"at_ns": NaN, "hex": ""}',
        b'{"at_ns": 9223372036854775808, "hex": ""}',
        b'{"at_ns": ' + b"9" * 5000 + b', "hex": ""}',
        b" " * (LONGEST_LINE + 1),
    ],
)
def test_what_is_no_chunk_is_refused(line):
    with pytest.raises(WireError):
        parse_chunk(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_chunk_or_refused(line):
    with contextlib.suppress(WireError):
        parse_chunk(line)
