"""The whole daemon with an Oncore that comes without a memory, of 12 channels and of 8; and pulses."""

import sys

import pytest

pytestmark = pytest.mark.peer


@pytest.mark.parametrize(
    ("protocol", "satellites", "model"), [("oncore", 9, "P283T12T11"), ("oncore-8", 8, "R5122U1115")]
)
def test_a_station_locks_on_an_oncore(protocol, satellites, model, host, start_daemon, tmp_path):
    survey = f'state_file = "{tmp_path}/survey.json"'
    table = f'[oncore]\ndevice = "{tmp_path}/gps"\n{survey}\n[pps]\ndevice = "{tmp_path}/pps.sock"\n'
    line = ["--link", tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--protocol", protocol, "--sawtooth-ns", "50"]
    simulator = [sys.executable, "-m", "ntp_usg.simulate", *line, "--offset", "0.3", "--drift-ppm", "0"]
    with host.running(*simulator, log=tmp_path / "receiver.log"), start_daemon(table) as station:
        station.wait_for_lock()
        status = station.status()
        assert status["system"]["stratum"] == 1
        sources = {source["name"]: source for source in status["sources"]}
        assert set(sources) == {"GPS_ONCORE(0)", "PPS(0)"}
        assert sources["GPS_ONCORE(0)"]["fix"]["satellites_used"] == satellites
        station.wait_for_log(rf"GPS_ONCORE\(0\): .*/gps at 9600 baud, {model}, site survey 0 %")
        station.wait_for_log(r"Clock set: stepped by \+0\.3000\d\ds")
    assert '"count": ' in (tmp_path / "survey.json").read_text()
