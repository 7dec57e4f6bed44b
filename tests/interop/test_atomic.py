"""The whole daemon with the pulses of a frequency standard, whose seconds a receiver numbers."""

import sys

import pytest

pytestmark = pytest.mark.peer


def test_a_station_locks_on_a_standard_that_others_number(host, start_daemon, tmp_path):
    table = f'[atomic]\ndevice = "{tmp_path}/pps.sock"\noffset_secs = 0.0\n[gps]\ndevice = "{tmp_path}/gps"\n'
    line = ["--link", tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--offset", "0.3", "--drift-ppm", "0"]
    with (
        host.running(sys.executable, "-m", "ntp_usg.simulate", *line, log=tmp_path / "receiver.log"),
        start_daemon(table) as station,
    ):
        station.wait_for_lock()
        system = station.status()["system"]
        assert (system["stratum"], system["selected"]) == (1, "ATOM(0)")
        station.wait_for_log(r"Clock set: stepped by \+0\.3000\d\ds")
