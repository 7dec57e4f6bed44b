"""What comes from outside can neither steer a terminal nor fill it."""

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.samples import DeviceStatus
from ntp_usg.core.base.text import LONGEST_TEXT, shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("NEO-M8T, protocol 22", "NEO-M8T, protocol 22"),
        ("empfänger µs", "empfänger µs"),
        ("\x1b[2J\r\n\0", "\\x1b[2J\\r\\n\\x00"),
        ("right \u202e left", "right \\u202e left"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text, expected):
    assert shown(text) == expected
    assert DeviceStatus(connected=True, detail=text).detail == expected
    assert Trouble(Doubt.ANTENNA, text).text == expected


def test_a_text_without_end_is_cut():
    assert shown("x" * 10_000) == "x" * LONGEST_TEXT + "..."
