"""What gpsd says; the first lines are as gpsd 3.22 sends them."""

import json

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs, WallNs
from ntp_usg.core.receivers.gpsd import DeviceReport, FixReport, TimeReport, Version, parse_report

PPS = {
    "class": "PPS",
    "device": "/dev/ttyAMA0",
    "real_sec": 1771243200,
    "real_nsec": 0,
    "clock_sec": 1771243199,
    "clock_nsec": 999_998_000,
    "precision": -20,
}


@pytest.mark.parametrize(
    ("line", "report"),
    [
        (
            b'{"class":"VERSION","release":"3.22","rev":"3.22","proto_major":3,"proto_minor":14}\r\n',
            Version("3.22"),
        ),
        (b'{"class":"DEVICES","devices":[]}\r\n', None),
        (
            b'{"class":"TOFF","device":"/dev/gps","real_sec":1771243200,"real_nsec":5,"clock_sec":1771243201,"clock_nsec":4}',
            TimeReport("/dev/gps", False, WallNs(1771243200_000000005), HostNs(1771243201_000000004), -10),
        ),
        (b'{"class":"TPV","device":"/dev/gps","mode":3,"lat":1.0}\r\n', FixReport("/dev/gps", 3)),
        (b'{"class":"TPV","device":"/dev/gps"}', FixReport("/dev/gps", 0)),
        (b'{"class":"DEVICE","path":"/dev/gps","activated":0}', DeviceReport("/dev/gps", active=False)),
        (
            b'{"class":"DEVICE","path":"/dev/gps","activated":"2026-11-22T03:00:00.000Z"}',
            DeviceReport("/dev/gps", active=True),
        ),
        (
            json.dumps({**PPS, "shm": "NTP1", "qErr": -1723}).encode(),
            TimeReport("/dev/ttyAMA0", True, WallNs(1771243200 * 10**9), HostNs(1771243199_999998000), -20),
        ),
    ],
)
def test_what_it_says_of_time_is_read(line, report):
    assert parse_report(line) == report


@pytest.mark.parametrize(
    "line", [b"", b"\xff", b"[]", b"5", b"{}", b'{"class":5}', b"{" * 9, b"[" * 16_000, b"9" * 9000]
)
def test_what_is_none_of_its_lines_is_refused(line):
    with pytest.raises(WireError):
        parse_report(line)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("real_sec", None),
        ("real_sec", -1),
        ("real_sec", 1e9),
        ("real_sec", True),
        ("clock_sec", 2**64),
        ("clock_nsec", 10**9),
        ("precision", 1),
        ("precision", "-20"),
        ("device", 7),
        ("device", "/dev/\x1b[2J"),
    ],
)
def test_a_time_with_an_impossible_value_is_refused(name, value):
    with pytest.raises(WireError, match=name):
        parse_report(json.dumps({**PPS, name: value}).encode())
