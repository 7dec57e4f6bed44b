import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.wire.extensions import MAX_FIELDS, ExtensionField, walk_extensions


def packet(*parts: str) -> bytes:
    return b"\x23" + bytes(47) + bytes.fromhex("".join(parts))


UNIQUE_IDENTIFIER = "0104 0024" + "5a" * 32
SHORT = "f323 0010" + "00" * 12
MAC = "00000001" + "c0" * 20


def test_fields_are_given_with_type_value_and_end() -> None:
    data = packet(SHORT, UNIQUE_IDENTIFIER)
    assert list(walk_extensions(data)) == [
        ExtensionField(0xF323, memoryview(bytes(12)), 64),
        ExtensionField(0x0104, memoryview(b"\x5a" * 32), 100),
    ]


def test_a_bare_header_has_no_fields() -> None:
    assert not list(walk_extensions(packet()))


def test_the_walk_stops_where_a_mac_may_begin() -> None:
    assert [field.end for field in walk_extensions(packet(SHORT, MAC))] == [64]


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("0104 0000" + "00" * 24, "0 octets"),
        ("0104 000c" + "00" * 24, "12 octets"),
        ("0104 001e" + "00" * 28, "30 octets"),
        ("0104 0020" + "00" * 24, "32 octets"),
    ],
    ids=["empty", "too short", "not aligned", "beyond the end"],
)
def test_a_field_of_impossible_length_is_refused(field: str, says: str) -> None:
    with pytest.raises(WireError, match=f"octet 64 says that it has {says}"):
        list(walk_extensions(packet(SHORT, field)))


def test_the_number_of_fields_is_bounded() -> None:
    assert len(list(walk_extensions(packet(SHORT * (MAX_FIELDS - 1), UNIQUE_IDENTIFIER)))) == MAX_FIELDS
    with pytest.raises(WireError, match="more than 32"):
        list(walk_extensions(packet(SHORT * MAX_FIELDS, UNIQUE_IDENTIFIER)))
