"""What the daemon does when things go wrong: the receiver pulled, the clock lost, the configuration broken."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.peer

SMALL_BUDGET = """
[holdover]
budget = "30us"
[gps]
timeout_secs = 3
"""


def test_a_pulled_receiver_is_told_then_dispersion_grows_then_the_server_demotes_itself_and_recovers(start_station):
    with start_station(SMALL_BUDGET, offset=1.5, drift_ppm=12.0) as station:
        station.wait_for_lock()
        station.tell_receiver("unplug")
        station.tell_receiver("hush")
        pulled = time.monotonic()
        station.wait_for_log(r"PPS signal lost: no pulse on .* for 2\.", timeout=15)
        station.wait_for_log(r"GPS fix lost: no usable message for 3\.", timeout=15)
        station.wait_for_log("Holdover: ", timeout=15)
        assert time.monotonic() - pulled < 5
        first = station.status()["system"]
        assert (first["phase"], first["stratum"]) == ("holdover", 1)
        time.sleep(1.5)
        assert station.status()["system"]["root_dispersion"] > first["root_dispersion"]
        station.wait_for_log("Unsynchronised: the holdover budget of 0.03ms is spent", timeout=40)
        demoted = station.status()["system"]
        assert (demoted["synchronised"], demoted["stratum"]) == (False, 16)
        assert station.get("/healthz")[0] == 503
        station.tell_receiver("plug")
        station.tell_receiver("beat")
        station.wait_for_lock()
        recovered = station.status()["system"]
        assert (recovered["stratum"], recovered["epoch"]) == (1, 1), "it recovers without a step"
        assert recovered["host_offset"] == pytest.approx(1.5, abs=0.01)


def test_access_lists_are_reloaded_by_sighup_whole_or_not_at_all(start_station, require_peer):
    ntpdate = require_peer("ntpdate")
    with start_station() as station:
        station.wait_for_lock()
        configuration = station.folder / "server.toml"
        good = configuration.read_text()
        configuration.write_text(good + '[access]\ndeny = ["127.0.0.0/8"]\n')
        station.daemon.send_signal(signal.SIGHUP)
        station.wait_for_log("Reloaded: access.deny")
        assert "stratum 1" not in station.host.run(ntpdate, "-q", "127.0.0.1")
        configuration.write_text(good + '[access]\nallow = ["nonsense"]\n')
        station.daemon.send_signal(signal.SIGHUP)
        station.wait_for_log("Not reloaded")
        assert "server.toml:" in station.log
        configuration.write_text(good)
        station.daemon.send_signal(signal.SIGHUP)
        station.wait_until(lambda: station.log.count("Reloaded: access.deny") == 2, "the second reload")
        assert "no eligible servers" not in station.host.run(ntpdate, "-q", "127.0.0.1")


@contextmanager
def service_manager(path: Path) -> Any:
    """A systemd of our own, as far as sd_notify goes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(path))
        channel.settimeout(10)
        yield channel


def test_the_service_manager_hears_of_readiness_status_life_and_end(start_station, tmp_path):
    address = tmp_path / "notify"
    with service_manager(address) as channel:
        environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "2000000"}
        heard: list[str] = []
        with start_station(environment=environment) as station:
            while not any("STATUS=Synchronised" in text for text in heard):
                heard.append(channel.recv(1024).decode())
                assert len(heard) < 40, heard
            station.daemon.terminate()
            assert station.daemon.wait(10) == 0
            assert '"frequency_ppm"' in (station.folder / "drift").read_text()
        while "STOPPING=1" not in heard[-1]:
            heard.append(channel.recv(1024).decode())
        assert heard[0] == "READY=1"
        assert any("WATCHDOG=1" in text and "STATUS=" in text for text in heard)


def test_a_killed_worker_is_replaced_and_answers_resume(start_station, require_peer):
    ntpdate = require_peer("ntpdate")
    with start_station() as station:
        station.wait_for_lock()
        os.kill(int(re.findall(r"Answering in process (\d+)", station.log)[-1]), signal.SIGKILL)
        station.wait_for_log("The answering worker has ended")
        output = station.host.run(ntpdate, "-q", "127.0.0.1")
        assert "no eligible servers" not in output


def test_hostile_datagrams_get_no_longer_answer_and_leave_the_server_up(start_station):
    fuzzer = "env", f"PYTHONPATH={Path(__file__).parents[2]}", sys.executable, "-m", "tests.fuzz.fuzz_server"
    with start_station("[access]\nmonitor = []\n") as station:
        station.wait_for_lock()
        output = station.host.run(*fuzzer, "--count", "20000", "--seed", "7", "127.0.0.1:123")
        assert "20000 datagrams" in output, output
        assert "longer than their request: 0, to nobody's question: 0, a plain request afterwards: answered" in output
        assert station.daemon.poll() is None
        assert "Traceback" not in station.log
        assert "worker has ended" not in station.log


def server(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).parent / "ntp_usg_server"
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=30, check=False)


def test_a_wrong_configuration_ends_with_78_and_every_problem_with_file_and_line(tmp_path):
    configuration = tmp_path / "server.toml"
    configuration.write_text('[server]\nlisten_adr = "0.0.0.0:123"\nstratum = 0\n')
    (tmp_path / "gps.conf").write_text('[gps]\ndevice = "/dev/ttyAMA0"\nmin_quality = "Best"\n')
    done = server("--config", configuration)
    assert done.returncode == 78
    assert f"{configuration}:2: " in done.stderr
    assert "listen_addr" in done.stderr
    assert f"{configuration}:3: " in done.stderr
    assert f"{tmp_path / 'gps.conf'}:3: " in done.stderr
    assert "DGps" in done.stderr


def test_check_prints_the_settings_in_force_with_their_origin(tmp_path):
    configuration = tmp_path / "server.toml"
    configuration.write_text('[refclock]\ntype = "gps"\ngps_device = "/dev/ttyS9"\n')
    done = server("--config", configuration, "--gps-baud", "115200", "--check")
    assert done.returncode == 0, done.stderr
    assert 'gps.device = "/dev/ttyS9"   # server.toml:3' in done.stdout
    assert "gps.baud_rate = 115200   # --gps-baud" in done.stdout


def test_help_shows_every_flag_of_the_guide():
    done = server("--help")
    assert done.returncode == 0
    flags = ["--listen", "--gps-device", "--gps-baud", "--stratum", "--enable-interleaved", "--max-clients", "--help"]
    for flag in [*flags, "--pps-device", "--config", "--check"]:
        assert flag in done.stdout
