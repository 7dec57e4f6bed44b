"""The daemon as a process: signals at every moment of its life, and what it leaves when it is gone."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ntp_usg.core.wire.header import Header, parse_header

CONFIGURATION = """
[server]
listen_addr = ["127.0.0.1:{port}"]
clock = "virtual"
control_socket = "{folder}/control.sock"
[metrics]
enabled = false
[clock]
drift_file = "{folder}/drift"
leap_file = ""
[simulated]
pretend = true
"""


class Daemon:
    """One daemon on a free port of loopback that pretends to have a receiver; started again as often as wanted."""

    def __init__(self, folder: Path) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.folder = folder
        self.configuration = folder / "server.toml"
        self.configuration.write_text(CONFIGURATION.format(port=self.port, folder=folder))
        self._log = folder / "log"
        self.processes: list[subprocess.Popen[bytes]] = []

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; returns as soon as it is at the first line of ours."""
        command = [str(Path(sys.executable).parent / "ntp_usg_server"), "--config", str(self.configuration)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)
        self.wait_until(lambda: catches(process.pid, signal.SIGHUP))
        return process

    def start_and_wait(self) -> subprocess.Popen[bytes]:
        process, before = self.start(), self.log.count(" serves on ")
        self.wait_until(lambda: self.log.count(" serves on ") > before)
        return process

    def wait_until(self, condition: Callable[[], object], patience: float = 40) -> None:
        deadline = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)

    def get(self, page: str) -> tuple[int, str]:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(5)
            link.connect(str(self.folder / "control.sock"))
            link.sendall(f"GET {page} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = b"".join(iter(lambda: link.recv(65536), b""))
        head, _, body = answer.decode().partition("\r\n\r\n")
        return int(head.split()[1]), body

    def status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.get("/api/v1/status")[1])
        return status

    def is_healthy(self) -> bool:
        with contextlib.suppress(OSError):
            return self.get("/healthz")[0] == 200
        return False

    def ask(self, patience: float = 1.0) -> Header | None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(patience)
            sock.connect(("127.0.0.1", self.port))
            sock.send(b"\x23" + bytes(39) + os.urandom(8))
            with contextlib.suppress(OSError):
                return parse_header(sock.recv(100))
        return None

    def workers(self) -> list[int]:
        """All that have answered so far, the present one last."""
        return [int(pid) for pid in re.findall(r"Answering in process (\d+)", self.log)]


def catches(pid: int, number: signal.Signals) -> bool:
    [mask] = re.findall(r"SigCgt:\s+(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(mask, 16) >> number - 1 & 1)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    made = Daemon(tmp_path)
    yield made
    for process in made.processes:
        process.kill()
        process.wait()


@pytest.mark.fault(
    group="Service",
    kind="A signal comes while the daemon starts or stops.",
    noticed="It is remembered until it can be obeyed; a second signal to stop changes nothing.",
    served="What was served; the daemon stops in order and saves what it has learned.",
)
def test_signals_at_any_moment_end_in_an_orderly_stop_that_saves_the_drift(daemon):
    process = daemon.start()
    process.send_signal(signal.SIGHUP)
    daemon.wait_until(lambda: "Reloaded" in daemon.log)
    daemon.wait_until(daemon.is_healthy)
    time.sleep(6)
    for _ in range(3):
        process.send_signal(signal.SIGTERM)
        time.sleep(0.01)
    process.send_signal(signal.SIGHUP)
    assert process.wait(20) == 0
    assert daemon.log.count("Stopping") == 1
    assert '"frequency_ppm"' in (daemon.folder / "drift").read_text()
    assert not (daemon.folder / "control.sock").exists()


@pytest.mark.parametrize("delay", [0.0, 0.6, 1.2])
def test_a_stop_during_the_start_is_obeyed_in_order(daemon, delay):
    process = daemon.start()
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    assert "Traceback" not in daemon.log
    assert not (daemon.folder / "control.sock").exists()


def test_a_daemon_whose_predecessor_was_killed_takes_the_port_from_its_workers(daemon):
    daemon.start_and_wait()
    daemon.wait_until(daemon.is_healthy)
    daemon.processes[0].kill()
    daemon.processes[0].wait()
    for _ in range(3):
        answer = daemon.ask()
        assert answer is not None
        assert answer.stratum == 1, "the last state is still good"
    daemon.start_and_wait()
    assert "An earlier daemon died and left workers, they have been ended" in daemon.log
    assert daemon.ask() is not None
    assert daemon.processes[0].pid != daemon.processes[1].pid


def test_a_second_daemon_leaves_the_first_ones_workers_alone(daemon):
    daemon.start_and_wait()
    second = daemon.start()
    assert second.wait(40) == 69
    assert f"port {daemon.port} is in use by ntp_usg_server" in daemon.log
    assert daemon.ask() is not None
