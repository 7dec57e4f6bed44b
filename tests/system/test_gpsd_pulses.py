"""Debian's gpsd numbers the pulses on a serial port's DCD and hands them over in each of its ways."""

import pytest

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

AHEAD = 1.5
SLOW = 0.1
"""Seconds: gpsd hears of a pulse late, where a busy machine lets the guest wait; far from another second."""


@pytest.fixture(scope="module")
def result(guest, require_peer):
    require_peer("gpsd")
    return guest.run("gpsd.py", modules=("fuse", "cuse"), timeout=110)


@pytest.mark.parametrize(
    ("way", "reference_id", "line"),
    [
        ("sock", "SOCK", "SOCK(0): /run/chrony.ttyGPS0.sock"),
        ("gpsd", "GPSD", "GPSD(0): gpsd 3."),
        ("shm", "SHM", "SHM(1): shared memory 0x4e545031"),
    ],
)
def test_the_pulses_of_a_serial_port_lead_the_daemon_to_stratum_1_by_way_of_gpsd(result, way, reference_id, line):
    outcome = result["outcomes"][way]
    assert outcome["came"], f"{outcome['log']}\n{result['log']}"
    assert line in outcome["log"]
    system = outcome["status"]["system"]
    assert (system["stratum"], system["reference_id"]) == (1, reference_id)
    assert abs(AHEAD - system["host_offset"]) < min(SLOW, system["root_distance"])


def test_gpsd_itself_says_that_it_fed_the_socket(result):
    assert "accepted chrony sock" in result["log"]


def test_the_daemons_end_as_asked(result):
    assert result["exit_codes"] == [0, 0, 0]
