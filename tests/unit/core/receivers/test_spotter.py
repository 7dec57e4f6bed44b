"""Whatever a receiver speaks is recognised, and noise is not."""

import random

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.receivers.nmea_sentences import build_sentence
from ntp_usg.core.receivers.oncore_framing import build_message
from ntp_usg.core.receivers.spotter import MOST_BYTES, MOST_NAMES, ProtocolSpotter
from ntp_usg.core.receivers.ubx_framing import build_frame
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.tsip import build_primary
from ntp_usg.simulate.ubx import build_pulse, build_ubx_burst

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)
TELEGRAM = b"\x02D:16.02.26;T:1;U:12.00.00;    \x03"


def seen(data: bytes, size: int = 7) -> dict[str, list[str]]:
    spotter = ProtocolSpotter()
    for start in range(0, len(data), size):
        spotter.feed(data[start : start + size])
    return spotter.seen


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (build_burst(SECOND, Sky()), {"NMEA": ["GGA", "GLL", "GSA", "GSV", "RMC", "ZDA"]}),
        (build_sentence("GPVTG,,,") + build_sentence("PUBX,00"), {"NMEA": ["PUBX", "VTG"]}),
        (build_pulse(SECOND, 0), {"UBX": ["TIM-TP"]}),
        (
            build_ubx_burst(SECOND, Sky()),
            {"UBX": ["MON-RF", "NAV-PVT", "NAV-SAT", "NAV-STATUS", "NAV-TIMELS", "NAV-TIMEUTC", "TIM-TP"]},
        ),
        (build_frame(0x0102, bytes(28)), {"UBX": ["01-02"]}),
        (2 * build_primary(SECOND), {"TSIP": ["8F-AB"]}),
        (build_primary(SECOND), {}),
        (build_message("Aw", b"\x01"), {"Motorola binary": ["@@Aw"]}),
        (TELEGRAM, {"Meinberg telegrams": ["Standard"]}),
    ],
)
def test_a_protocol_is_recognised_by_its_whole_messages(data, expected, size):
    assert seen(b"\xff\x80" + data + b"\r\n", size) == expected


def test_noise_is_no_protocol():
    rng = random.Random(1)
    assert seen(rng.randbytes(MOST_BYTES)) == {}
    assert seen(b"$GPRMC,,V*00\r\n" + b"\xb5\x62\x01\x07\x00\x00\x00\x00") == {}


def test_the_work_and_the_names_are_bounded():
    spotter = ProtocolSpotter()
    for number in range(100):
        spotter.feed(build_sentence(f"P{number:03d},"))
    assert len(spotter.seen["NMEA"]) == MOST_NAMES
    spotter.feed(bytes(MOST_BYTES))
    spotter.feed(build_pulse(SECOND, 0))
    assert "UBX" not in spotter.seen
