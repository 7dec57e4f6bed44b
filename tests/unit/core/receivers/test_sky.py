import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.receivers.sky import Satellite, parse_nav_sat, parse_satellites


def test_each_satellite_has_its_place_and_its_signal():
    line = b"$GPGSV,3,1,12,01,05,048,26,06,22,095,,11,,,34,14,-4,158,00,1*00"
    assert parse_satellites(line) == [
        Satellite("GPS", 1, 5, 48, 26),
        Satellite("GPS", 6, 22, 95, None),
        Satellite("GPS", 11, None, None, 34),
        Satellite("GPS", 14, -4, 158, 0),
    ]


@pytest.mark.parametrize(
    ("talker", "system"), [("GL", "GLONASS"), ("GA", "Galileo"), ("BD", "BeiDou"), ("GQ", "QZSS"), ("GI", "NavIC")]
)
def test_a_talker_is_a_system(talker, system):
    assert parse_satellites(f"${talker}GSV,1,1,01,65,10,200,30*00".encode()) == [Satellite(system, 65, 10, 200, 30)]


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"$GPGSV,1,1,00*79",
        b"$GPGSV,1,1,00,1*00",
        b"$GPRMC,120000.00,A*00",
        b"$XXGSV,1,1,01,65,10,200,30*00",
        b"$GPGSV,1,1,01,65,10,200*00",
        b"$GPGSV,1,1,01,,10,200,30*00",
        b"$GPGSV,1,1,01,65,10,200,3x*00",
    ],
)
def test_other_lines_name_none(line):
    assert parse_satellites(line) == []


@given(st.text("$GPSV,*0123456789-", max_size=100))
def test_no_line_names_more_than_four_or_raises(text):
    assert len(parse_satellites(b"$GPGSV,1,1,01," + text.encode())) <= 4


def nav_sat(*satellites: tuple[int, int, int, int, int]) -> bytes:
    return bytes(8) + b"".join(struct.pack("<BBBbhhI", *each, 0, 0) for each in satellites)


def test_a_ubx_receiver_tells_the_same():
    payload = nav_sat((0, 5, 42, 60, 180), (6, 9, 0, -3, 20), (2, 11, 30, -91, 0), (77, 1, 30, 10, 10))
    assert parse_nav_sat(payload) == [
        Satellite("GPS", 5, 60, 180, 42),
        Satellite("GLONASS", 9, -3, 20, None),
        Satellite("Galileo", 11, None, None, 30),
    ]


@given(st.binary(max_size=100))
def test_whatever_a_nav_sat_holds_there_are_no_more_satellites_than_bytes_for_them(payload):
    assert len(parse_nav_sat(payload)) <= len(payload) // 12
