"""The whole daemon with a ThunderBolt that was left silent and on GPS time, and with a Palisade; and pulses."""

import sys

import pytest

pytestmark = pytest.mark.peer


@pytest.mark.parametrize(
    ("protocol", "satellites", "detail"),
    [("tsip", 9, "UTC, timing packets on"), ("palisade", 8, "does not answer: used as it is set")],
)
def test_a_station_locks_on_a_receiver_that_speaks_tsip(protocol, satellites, detail, host, start_daemon, tmp_path):
    table = f'[tsip]\ndevice = "{tmp_path}/gps"\n[pps]\ndevice = "{tmp_path}/pps.sock"\n'
    line = ["--link", tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--protocol", protocol]
    simulator = [sys.executable, "-m", "ntp_usg.simulate", *line, "--offset", "0.3", "--drift-ppm", "0"]
    with host.running(*simulator, log=tmp_path / "receiver.log"), start_daemon(table) as station:
        station.wait_for_lock()
        status = station.status()
        assert status["system"]["stratum"] == 1
        sources = {source["name"]: source for source in status["sources"]}
        assert set(sources) == {"GPS_TSIP(0)", "PPS(0)"}
        assert sources["GPS_TSIP(0)"]["fix"]["satellites_used"] == satellites
        station.wait_for_log(rf"GPS_TSIP\(0\): .*/gps at 9600 baud, {detail}")
        station.wait_for_log(r"Clock set: stepped by \+0\.3000\d\ds")
