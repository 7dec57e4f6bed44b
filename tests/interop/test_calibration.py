"""What is learned of a receiver while it has pulses: true, kept over a restart, and of use without them."""

import json
import sys
import time
from contextlib import contextmanager

import pytest
from tests.interop.conftest import EXECUTABLES, Station

pytestmark = pytest.mark.peer

FIRST_BYTE = 0.080
"""Seconds from a second to the first byte of the simulated receiver's burst; they scatter by 4 ms."""
AHEAD = 1.5


@contextmanager
def receiver(host, folder):
    line = ["--link", folder / "gps", "--pps", folder / "pps.sock", "--baud", "115200"]
    truth = ["--offset", AHEAD, "--drift-ppm", "0"]
    with host.running(sys.executable, "-m", "ntp_usg.simulate", *line, *truth, log=folder / "receiver.log"):
        while not (folder / "gps").exists():
            time.sleep(0.05)
        yield


def test_a_calibration_finds_how_late_the_simulated_receiver_is(host, tmp_path):
    command = EXECUTABLES / "ntp_usg", "gps", "calibrate", tmp_path / "gps", "--pps", tmp_path / "pps.sock"
    with receiver(host, tmp_path):
        found = json.loads(host.run(*command, "--baud", "115200", "--for", "18", "--json"))
    assert found["part"] == "RMC"
    assert found["offset_secs"] == pytest.approx(FIRST_BYTE, abs=0.008)
    assert found["uncertainty"] < 0.006
    # A byte takes 10 bits: the burst goes over the line in some 40 ms, and ZDA is its end.
    first, *_, last = found["parts"].items()
    assert (first[0], last[0]) == ("RMC", "ZDA")
    assert 0.02 < last[1]["median"] - first[1]["median"] < 0.06
    assert "+1.5 s from this machine's clock" in found["warnings"][0]


@contextmanager
def daemon(host, folder, pulses):
    station = Station(host, folder)
    (folder / "server.toml").write_text(
        f'[server]\nlisten_addr = "127.0.0.1:123"\nclock = "virtual"\ncontrol_socket = "{folder}/control.sock"\n'
        f'[clock]\ndrift_file = "{folder}/drift"\n[gps]\ndevice = "{folder}/gps"\nbaud_rate = 115200\n{pulses}'
    )
    command = EXECUTABLES / "ntp_usg_server", "--config", folder / "server.toml"
    with host.running(*command, log=station.log_file) as station.daemon:
        yield station


def gps(station):
    return next(source for source in station.status()["sources"] if source["name"] == "GPS_NMEA(0)")


def test_what_pulses_showed_of_messages_is_used_after_a_restart_without_pulses(host, tmp_path):
    with receiver(host, tmp_path):
        with daemon(host, tmp_path, f'[pps]\ndevice = "{tmp_path}/pps.sock"\n') as station:
            station.wait_until(lambda: gps(station)["latencies"], "latencies")
            assert 'ntp_usg_message_latency_seconds{part="RMC",source="GPS_NMEA(0)"} 0.0' in station.get("/metrics")[1]
        with daemon(host, tmp_path, "") as station:
            station.wait_for_log(r"GPS_NMEA\(0\): RMC comes 0\.0[789]\d+ s late")
            station.wait_for_lock()
            assert gps(station)["latency_origin"] == "saved"
            system = station.status()["system"]
    assert f"nmea {tmp_path}/gps 115200 baud, measured" in station.log
    assert system["host_offset"] == pytest.approx(AHEAD, abs=0.02)
    assert system["root_distance"] < 0.1
