"""A host of our own for daemons and their peers: a network namespace, in which port 123 is free and loopback is all."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

EXECUTABLES = Path(sys.executable).parent


class Host:
    """A network with only loopback, and shared memory of its own; whatever is started there ends with it."""

    def __init__(self, holder: int) -> None:
        own_user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        self._enter = ["nsenter", f"--target={holder}", "--net", "--ipc", *own_user, "--"]

    def run(self, *command: str | Path, timeout: float = 30.0) -> str:
        """What a command prints, on either stream."""
        words = [*self._enter, *map(str, command)]
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False
        )
        return done.stdout

    @contextmanager
    def running(
        self, *command: str | Path, log: Path, environment: dict[str, str] | None = None
    ) -> Iterator[subprocess.Popen[str]]:
        """A program while it is needed; its output goes to a file, and it takes commands on standard input."""
        words = [*self._enter, *map(str, command)]
        with (
            log.open("a") as output,
            subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, **(environment or {})},
            ) as process,
        ):
            try:
                yield process
            finally:
                process.terminate()
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Station:
    """A daemon with a simulated receiver, both real processes, on a host of their own."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.host = host
        self.folder = folder
        self.log_file = folder / "server.log"
        self.daemon: subprocess.Popen[str] | None = None
        self.receiver: subprocess.Popen[str] | None = None

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def tell_receiver(self, command: str) -> None:
        assert self.receiver is not None
        assert self.receiver.stdin is not None
        self.receiver.stdin.write(command + "\n")
        self.receiver.stdin.flush()

    def get(self, path: str) -> tuple[int, str]:
        """A page of the control socket."""
        with closing(UnixConnection(self.folder / "control.sock")) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()

    def status(self) -> dict[str, Any]:
        result: dict[str, Any] = json.loads(self.get("/api/v1/status")[1])
        return result

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if condition():
                    return
            except (OSError, ValueError, KeyError):  # not up yet
                pass
            time.sleep(0.1)
        pytest.fail(f"waited {timeout} s in vain for: {what}\n{self.log}", pytrace=False)

    def wait_for_lock(self) -> None:
        self.wait_until(lambda: self.status()["system"]["phase"] == "synchronised", "the lock")

    def wait_for_log(self, pattern: str, timeout: float = 30.0) -> None:
        self.wait_until(lambda: re.search(pattern, self.log) is not None, f"log line {pattern}", timeout)


@contextmanager
def _new_host() -> Iterator[Host]:
    own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", *own_user, "--net", "--ipc", "sh", "-c", "ip link set lo up && echo ready && exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        if holder.stdout.readline() != "ready\n":
            pytest.skip("no network namespace to be had: run as root, or allow unprivileged user namespaces")
        yield Host(holder.pid)
        holder.stdin.close()


@pytest.fixture(scope="session")
def host(require_peer: Callable[[str], Path]) -> Iterator[Host]:
    """One namespace for all: its ports are free again when a test's daemon has ended."""
    require_peer("ip")
    with _new_host() as host:
        yield host


@pytest.fixture
def another_host(host: Host) -> Iterator[Host]:
    """For a daemon that runs beside the first."""
    with _new_host() as another:
        yield another


@pytest.fixture(scope="session")
def start_station(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Starts stations: `with start_station(extra_toml, offset=0.0, drift_ppm=0.0) as station`.

    `tracer` is a command that runs the daemon's, as strace does.
    """

    @contextmanager
    def start(
        extra: str = "",
        *,
        offset: float = 0.0,
        drift_ppm: float = 0.0,
        environment: dict[str, str] | None = None,
        tracer: Sequence[str] = (),
    ) -> Iterator[Station]:
        folder = tmp_path_factory.mktemp("station")
        station = Station(host, folder)
        (folder / "server.toml").write_text(_configuration(folder) + _REFCLOCK.format(folder=folder) + extra)
        receiver = _receiver_command(folder, offset, drift_ppm)
        daemon = [*tracer, *_daemon_command(folder)]
        with (
            host.running(*receiver, log=folder / "receiver.log") as station.receiver,
            host.running(*daemon, log=station.log_file, environment=environment) as station.daemon,
        ):
            yield station

    return start


@pytest.fixture(scope="session")
def start_daemon(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """Starts a daemon without a receiver: `with start_daemon(extra_toml) as station`, perhaps `on` another host."""

    @contextmanager
    def start(extra: str, on: Host = host) -> Iterator[Station]:
        folder = tmp_path_factory.mktemp("daemon")
        station = Station(on, folder)
        (folder / "server.toml").write_text(_configuration(folder) + extra)
        with on.running(*_daemon_command(folder), log=station.log_file) as station.daemon:
            yield station

    return start


_REFCLOCK = """
[refclock]
type = "gps_pps"
gps_device = "{folder}/gps"
pps_device = "{folder}/pps.sock"
"""


def _daemon_command(folder: Path) -> Sequence[str]:
    return [str(EXECUTABLES / "ntp_usg_server"), "--config", str(folder / "server.toml")]


def _configuration(folder: Path) -> str:
    user = "nobody" if os.geteuid() == 0 else "root"  # the only one that an unprivileged namespace knows
    return f"""
[server]
listen_addr = ["0.0.0.0:123", "[::]:123"]
clock = "virtual"
control_socket = "{folder}/control.sock"
user = "{user}"
[clock]
drift_file = "{folder}/drift"
"""


def _receiver_command(folder: Path, offset: float, drift_ppm: float) -> Sequence[str]:
    truth = ["--offset", str(offset), "--drift-ppm", str(drift_ppm)]
    line = ["--link", f"{folder}/gps", "--pps", f"{folder}/pps.sock"]
    return [sys.executable, "-m", "ntp_usg.simulate", *line, *truth]
