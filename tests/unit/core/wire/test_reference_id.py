import pytest

from ntp_usg.core.wire.reference_id import describe_reference


@pytest.mark.parametrize(
    ("reference_id", "stratum", "text"),
    [
        (b"GPS\0", 1, "GPS"),
        (b"PPS\0", 0, "PPS"),
        (b"RATE", 0, "RATE"),
        (b"INIT", 16, "INIT"),
        (b"\x7f\x7f\x01\x00", 2, "127.127.1.0"),
        (b"\x0a\x00\x00\x01", 15, "10.0.0.1"),
        (b"\x7f\x7f\x01\x01", 1, "127.127.1.1"),  # chrony's local clock
        (b"\x1b[2J", 1, "27.91.50.74"),
        (b"\xff\0\0\0", 0, "255.0.0.0"),
    ],
)
def test_a_reference_id_is_a_name_or_an_address(reference_id: bytes, stratum: int, text: str):
    assert describe_reference(reference_id, stratum) == text
