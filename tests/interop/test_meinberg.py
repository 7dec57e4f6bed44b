"""The whole daemon with a Meinberg GPS clock, set up as ntpd's FAQ has it: telegrams, and pulses."""

import sys

import pytest

pytestmark = pytest.mark.peer


def test_a_station_locks_on_a_clock_of_mode_135(host, start_daemon, tmp_path):
    table = f'[meinberg]\ndevice = "{tmp_path}/gps"\nmode = 135\n[pps]\ndevice = "{tmp_path}/pps.sock"\n'
    line = ["--link", tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--baud", "19200"]
    truth = ["--protocol", "meinberg-erlangen", "--offset", "0.3", "--drift-ppm", "0"]
    simulator = [sys.executable, "-m", "ntp_usg.simulate", *line, *truth]
    with host.running(*simulator, log=tmp_path / "receiver.log"), start_daemon(table) as station:
        station.wait_for_lock()
        status = station.status()
        assert status["system"]["stratum"] == 1
        assert {source["name"] for source in status["sources"]} == {"GENERIC(0)", "PPS(0)"}
        station.wait_for_log(r"GENERIC\(0\): .*/gps at 19200 baud, mode 135: its pulses are those of \[pps\]")
        station.wait_for_log(r"Clock set: stepped by \+0\.3000\d\ds")
