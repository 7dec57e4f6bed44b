"""The whole daemon with u-blox receivers: set up by it or not, with pulses and what they say of them."""

import re
import sys
from contextlib import ExitStack, contextmanager

import pytest

pytestmark = pytest.mark.peer


@contextmanager
def receiver(host, folder, protocol, *options):
    """A simulated one, whose serial line and pulses appear in a folder."""
    line = ["--link", folder / "gps", "--pps", folder / "pps.sock", "--protocol", protocol, "--baud", "115200"]
    simulator = [sys.executable, "-m", "ntp_usg.simulate", *line, "--offset", "0.3", "--drift-ppm", "0", *options]
    with host.running(*simulator, log=folder / "receiver.log") as program:
        yield program


def tables(folder, driver, more=""):
    return (
        f'[{driver}]\ndevice = "{folder}/gps"\nbaud_rate = 115200\nprefer = true\n{more}\n'
        f'[pps]\ndevice = "{folder}/pps.sock"\n'
    )


def test_a_station_locks_on_a_receiver_that_speaks_ubx(host, start_daemon, tmp_path):
    with receiver(host, tmp_path, "both"), start_daemon(tables(tmp_path, "ubx")) as station:
        station.wait_for_lock()
        sources = {source["name"]: source for source in station.status()["sources"]}
        assert set(sources) == {"GPS_UBX(0)", "PPS(0)"}
        assert sources["GPS_UBX(0)"]["fix"]["satellites_used"] == 9
        assert re.search(r"GPS fix acquired! Offset: 0\.2\d+s, Satellites: 9, Quality: GPS$", station.log, re.MULTILINE)
        # The messages are 80 ms late; with the pulses nothing is left of that.
        station.wait_for_log(r"Clock set: stepped by \+0\.30000\ds")


def test_a_receiver_fresh_from_the_factory_is_set_up_and_leads_to_stratum_1(host, start_daemon, tmp_path):
    with receiver(host, tmp_path, "ublox8T"), start_daemon(tables(tmp_path, "ubx")) as station:
        station.wait_for_log("NEO-M8T, protocol 22: timing messages on, one pulse a second on UTC, 1 Hz, stationary")
        station.wait_for_lock()
        assert station.status()["system"]["stratum"] == 1


def pulses(station):
    return {source["name"]: source for source in station.status()["sources"]}["PPS(0)"]


def test_a_receivers_word_on_its_next_pulse_makes_pulses_three_times_as_steady(
    host, another_host, start_daemon, tmp_path
):
    quantised = ("--sawtooth-ns", "20", "--jitter-ns", "2")
    with ExitStack() as running:
        stations = {}
        for name, where in (("ubx", host), ("gps", another_host)):
            folder = tmp_path / name
            folder.mkdir()
            running.enter_context(receiver(where, folder, "ublox8T", *quantised))
            stations[name] = running.enter_context(start_daemon(tables(folder, name), on=where))
        for station in stations.values():
            station.wait_until(lambda one=station: pulses(one)["verdicts"]["accepted/used"] >= 9, "pulses")
        jitter = {name: pulses(station)["jitter"] * 1e9 for name, station in stations.items()}
    print(f"pulses quantised to +-20 ns scatter by {jitter['ubx']:.1f} ns in UBX, by {jitter['gps']:.1f} ns in NMEA")
    assert jitter["ubx"] * 3 < jitter["gps"]
