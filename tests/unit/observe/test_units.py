import pytest

from ntp_usg.observe.units import format_interval


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        (None, "-"),
        (0.0, "0 ns"),
        (-0.0, "0 ns"),
        (-123e-9, "-123 ns"),
        (1.5e-6, "1.500 us"),
        (-0.0123, "-12.300 ms"),
        (1.5, "1.500 s"),
        (86400.0, "86400.000 s"),
    ],
)
def test_an_interval_gets_the_unit_of_its_size(interval: float | None, text: str):
    assert format_interval(interval) == text


def test_offsets_show_their_sign():
    assert format_interval(2e-6, sign="+") == "+2.000 us"
    assert format_interval(-2e-6, sign="+") == "-2.000 us"
