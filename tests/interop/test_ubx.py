"""The whole daemon with a u-blox receiver: UBX and NMEA on one line, and pulses."""

import re
import sys

import pytest

pytestmark = pytest.mark.peer


def test_a_station_locks_on_a_receiver_that_speaks_ubx(host, start_daemon, tmp_path):
    table = (
        f'[ubx]\ndevice = "{tmp_path}/gps"\nbaud_rate = 115200\nprefer = true\n[pps]\ndevice = "{tmp_path}/pps.sock"\n'
    )
    line = ["--link", tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--protocol", "both", "--baud", "115200"]
    simulator = [sys.executable, "-m", "ntp_usg.simulate", *line, "--offset", "0.3", "--drift-ppm", "0"]
    with host.running(*simulator, log=tmp_path / "receiver.log"), start_daemon(table) as station:
        station.wait_for_lock()
        sources = {source["name"]: source for source in station.status()["sources"]}
        assert set(sources) == {"GPS_UBX(0)", "PPS(0)"}
        assert sources["GPS_UBX(0)"]["fix"]["satellites_used"] == 9
        assert re.search(r"GPS fix acquired! Offset: 0\.2\d+s, Satellites: 9, Quality: GPS$", station.log, re.MULTILINE)
        # The messages are 80 ms late; with the pulses nothing is left of that.
        station.wait_for_log(r"Clock set: stepped by \+0\.30000\ds")
