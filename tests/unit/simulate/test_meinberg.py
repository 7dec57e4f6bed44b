"""The telegrams have the length and the look that Meinberg's manuals give them."""

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.simulate.device import DEVICES
from ntp_usg.simulate.meinberg import (
    FORMATS,
    build_capture,
    build_erlangen,
    build_erlangen_pzf,
    build_gps,
    build_standard,
)
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky

SECOND = WallNs(1_782_864_000 * NS_PER_SECOND)  # 2026-07-01T00:00:00Z, a Wednesday
UNLOCKED = Sky(quality=FixQuality.NO_FIX)


def test_standard():
    assert build_standard(SECOND, Sky()) == b"\x02D:01.07.26;T:3;U:00.00.00;  U \x03"
    local = build_standard(SECOND, UNLOCKED, zone_hours=1, daylight_saving=True, checked=False, y="A")
    assert local == b"\x02D:01.07.26;T:3;U:02.00.00;#*SA\x03"


def test_gps():
    assert build_gps(SECOND, Sky()) == b"\x02D:01.07.26;T:3;U:00.00.18;  G ;018\x03"


def test_uni_erlangen():
    place = b" 51.9828N   9.2258E  176m"
    assert build_erlangen(SECOND, Sky()) == b"\x0201.07.26; 3; 00:00:00; +00:00;        ;" + place + b"\x03"
    western = build_erlangen(SECOND, UNLOCKED, utc_offset_minutes=-210, checked=False)
    assert western == b"\x0230.06.26; 2; 20:30:00; -03:30; #*     ;" + place + b"\x03"
    assert len(western) == 66


def test_uni_erlangen_of_a_pzf():
    assert build_erlangen_pzf(SECOND, UNLOCKED) == b"\x0201.07.26; 3; 01:00:00;  #     \x03"


def test_capture_strings():
    assert build_capture(SECOND) == b"CH0 01.07.26 00:00:00.1234567\r\n"


def test_all_formats_can_be_had_over_a_line():
    for name, build in FORMATS.items():
        assert DEVICES[name](Sawtooth(0)).say(SECOND, Sky()) == build(SECOND, Sky())
