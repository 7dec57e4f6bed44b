import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header

ANSWER = bytes.fromhex(
    "5c 02 06 ec 00008000 00010000 cb007107 ed3d853f6c67aa04 ed3d1f0011223344 ed3d85401f9add37 ed3d85401f9c806c"
)
HEADER = Header(
    leap=Leap.INSERT,
    version=3,
    mode=Mode.SERVER,
    stratum=2,
    poll=6,
    precision=-20,
    root_delay=0.5,
    root_dispersion=1.0,
    reference_id=bytes((203, 0, 113, 7)),
    reference_timestamp=0xED3D853F6C67AA04,
    origin_timestamp=0xED3D1F0011223344,
    receive_timestamp=0xED3D85401F9ADD37,
    transmit_timestamp=0xED3D85401F9C806C,
)


def test_every_field_is_read_from_its_place() -> None:
    assert parse_header(ANSWER) == HEADER


def test_every_field_is_written_to_its_place() -> None:
    assert build_header(HEADER) == ANSWER


def test_what_follows_the_header_is_left_alone() -> None:
    assert parse_header(ANSWER + b"an extension field") == HEADER


def test_a_plain_request_needs_no_more_than_a_transmit_timestamp() -> None:
    assert build_header(Header(transmit_timestamp=1)) == b"\x23" + bytes(46) + b"\x01"


def test_a_short_reference_id_is_padded_with_zeros() -> None:
    assert build_header(Header(reference_id=b"GPS"))[12:16] == b"GPS\0"


def test_a_header_that_is_cut_short_is_refused() -> None:
    with pytest.raises(WireError, match="47 octets"):
        parse_header(ANSWER[:47])


@pytest.mark.parametrize("version", [0, 5, 6, 7])
def test_an_unknown_version_is_refused(version: int) -> None:
    with pytest.raises(WireError, match=f"version {version}"):
        parse_header(bytes((version << 3 | 3,)) + bytes(47))
