import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.wire.trailer import mac_start

FIELD = bytes.fromhex("0204 0010") + bytes(12)
LONG_FIELD = bytes.fromhex("0204 001c") + bytes(24)
KEY_ID = bytes((0, 0, 0, 9))


def packet(version: int, trailer: bytes) -> bytes:
    return bytes((version << 3 | 3,)) + bytes(47) + trailer


@pytest.mark.parametrize("version", [1, 2, 3, 4])
def test_a_bare_header_has_no_mac(version: int) -> None:
    assert mac_start(packet(version, b"")) == 48


@pytest.mark.parametrize(
    ("trailer", "start"),
    [
        (KEY_ID + bytes(16), 48),
        (KEY_ID + bytes(20), 48),
        (FIELD + KEY_ID + bytes(16), 64),
        (FIELD + KEY_ID + bytes(20), 64),
        (LONG_FIELD + KEY_ID + bytes(20), 76),
        (LONG_FIELD, 76),
        (FIELD + LONG_FIELD, 92),
        (bytes(4), 48),
        (LONG_FIELD + bytes(4), 76),
    ],
)
def test_a_version_4_mac_follows_the_last_field(trailer: bytes, start: int) -> None:
    assert mac_start(packet(4, trailer)) == start


@pytest.mark.parametrize("length", [12, 20, 24, 52, 68, 72])
def test_before_version_4_all_that_follows_the_header_is_the_mac(length: int) -> None:
    assert mac_start(packet(3, KEY_ID + bytes(length - 4))) == 48


@pytest.mark.parametrize(
    ("version", "trailer"),
    [
        (4, KEY_ID),
        (4, KEY_ID + bytes(4)),
        (4, KEY_ID + bytes(8)),
        (4, KEY_ID + bytes(12)),
        (4, KEY_ID + bytes(17)),
        (4, FIELD + KEY_ID + bytes(8)),
        (4, LONG_FIELD + KEY_ID),
        (4, b"\0"),
        (3, KEY_ID),
        (3, KEY_ID + bytes(4)),
        (3, KEY_ID + bytes(9)),
        (3, KEY_ID + bytes(72)),
    ],
)
def test_lengths_that_no_mac_can_have_are_refused(version: int, trailer: bytes) -> None:
    with pytest.raises(WireError):
        mac_start(packet(version, trailer))
