"""The wire formats for every value, and every parser for every input."""

import math
from itertools import accumulate

from hypothesis import assume, given
from hypothesis import strategies as st

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.wire.extensions import MAX_MAC_LENGTH, walk_extensions
from ntp_usg.core.wire.header import HEADER_LENGTH, Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import from_ntp, from_short, to_ntp, to_short
from ntp_usg.core.wire.trailer import mac_start

HALF_ERA_NS = (1 << 31) * NS_PER_SECOND
ERA_1 = 2_085_978_496 * NS_PER_SECOND  # 2036-02-07 06:28:16 UTC
YEAR_2104 = ERA_1 + HALF_ERA_NS  # where a pivot fixed to 1970-2104 fails
SPAN = range(-HALF_ERA_NS, 4 * HALF_ERA_NS)  # 1902 to 2242

anywhere = st.integers(SPAN.start, SPAN.stop)
near_a_turn = st.builds(int.__add__, st.sampled_from([0, ERA_1, YEAR_2104]), st.integers(-(10**10), 10**10))
instants = st.one_of(anywhere, near_a_turn).map(WallNs)
distances = st.integers(-HALF_ERA_NS + 1, HALF_ERA_NS - 1)
timestamps = st.integers(0, 2**64 - 1)
shorts = st.integers(0, 2**32 - 1).map(from_short)
octets = st.integers(-128, 127)


@given(instants, distances)
def test_an_instant_comes_back_whole_in_any_era(instant: WallNs, distance: int) -> None:
    assert from_ntp(to_ntp(instant), WallNs(instant + distance)) == instant


@given(timestamps, instants)
def test_a_timestamp_is_read_within_half_an_era_of_the_pivot(timestamp: int, pivot: WallNs) -> None:
    instant = from_ntp(timestamp, pivot)
    assert abs(instant - pivot) <= HALF_ERA_NS
    assert min((to_ntp(instant) - timestamp) % 2**64, (timestamp - to_ntp(instant)) % 2**64) <= 4  # 1 ns


@given(instants, st.integers(1, HALF_ERA_NS - 1))
def test_a_later_instant_has_a_later_timestamp(instant: WallNs, later: int) -> None:
    assert 0 < (to_ntp(WallNs(instant + later)) - to_ntp(instant)) % 2**64 < 2**63


@given(st.floats(0.0, from_short(2**32 - 1)))
def test_short_format_never_makes_an_error_bound_smaller(seconds: float) -> None:
    assert 0.0 <= from_short(to_short(seconds)) - seconds <= 2**-16
    assert (to_short(seconds) == 0) == (seconds == 0.0)


@given(st.floats(allow_nan=True))
def test_short_format_takes_any_number(seconds: float) -> None:
    value = to_short(seconds)
    assert 0 <= value < 2**32
    assert value == 2**32 - 1 or not (math.isnan(seconds) or seconds > 65536.0)


headers = st.builds(
    Header,
    leap=st.sampled_from(Leap),
    version=st.integers(1, 4),
    mode=st.sampled_from(Mode),
    stratum=st.integers(0, 255),
    poll=octets,
    precision=octets,
    root_delay=shorts,
    root_dispersion=shorts,
    reference_id=st.binary(min_size=4, max_size=4),
    reference_timestamp=timestamps,
    origin_timestamp=timestamps,
    receive_timestamp=timestamps,
    transmit_timestamp=timestamps,
)


@given(headers, st.binary(max_size=100))
def test_a_header_comes_back_whole(header: Header, trailer: bytes) -> None:
    assert parse_header(build_header(header) + trailer) == header


@given(st.binary(max_size=200))
def test_any_bytes_are_a_header_or_a_wire_error(data: bytes) -> None:
    try:
        header = parse_header(data)
    except WireError:
        assert len(data) < HEADER_LENGTH or data[0] >> 3 & 7 not in range(1, 5)
    else:
        assert build_header(header) == data[:HEADER_LENGTH]


fields = st.builds(
    lambda field_type, words: field_type.to_bytes(2, "big") + (4 * words).to_bytes(2, "big") + bytes(4 * words - 4),
    st.integers(0, 0xFFFF),
    st.integers(4, 40),
)
macs = st.one_of(
    st.sampled_from([b"", bytes(4)]), st.binary(min_size=20, max_size=20), st.binary(min_size=24, max_size=24)
)


@given(st.lists(fields, max_size=10), macs)
def test_a_mac_or_its_absence_is_found_after_any_fields(extension_fields: list[bytes], mac: bytes) -> None:
    data = b"\x23" + bytes(47) + b"".join(extension_fields) + mac
    # RFC 7822 can't tell a short last field from a MAC, and therefore forbids what is assumed away here.
    assume(not extension_fields or len(extension_fields[-1] + mac) > MAX_MAC_LENGTH)
    assert mac_start(data) == len(data) - len(mac)
    ends = list(accumulate((len(field) for field in extension_fields), initial=HEADER_LENGTH))[1:]
    assert [field.end for field in walk_extensions(data)] == ends


@given(st.binary(min_size=HEADER_LENGTH, max_size=300))
def test_any_trailer_is_understood_or_a_wire_error(data: bytes) -> None:
    try:
        start = mac_start(data)
    except WireError:
        return
    assert HEADER_LENGTH <= start <= len(data)
    assert (len(data) - start) % 4 == 0
