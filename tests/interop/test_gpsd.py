"""Debian's gpsd, which has our simulated receivers, feeds the daemon: by its own protocol and by shared memory."""

import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

pytestmark = pytest.mark.peer

AHEAD = 1.5
"""How far true time is ahead of this machine's, in seconds: the daemon must have heard of it from gpsd."""
PORT = 5000
BRIDGE = f"""
import os, socket, sys
line = os.open(sys.argv[1], os.O_RDONLY | os.O_NOCTTY)
with socket.create_server(("127.0.0.1", {PORT})) as server:
    print("listening", flush=True)
    connection, _ = server.accept()
while data := os.read(line, 4096):
    connection.sendall(data)
"""
"""gpsd writes no shared memory for a receiver on a pseudo-terminal, because its own tests have such."""


@dataclass
class Gpsd:
    """One that has two receivers: the first by its serial line, the second over TCP."""

    line: Path
    receiver: Popen[str]


@pytest.fixture(scope="module")
def gpsd(host: Any, require_peer: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gpsd]:
    program, folder = require_peer("gpsd"), tmp_path_factory.mktemp("gpsd")
    with ExitStack() as running:

        def start(name: str, *command: object, ready: str = "") -> Popen[str]:
            log = folder / f"{name}.log"
            process: Popen[str] = running.enter_context(host.running(*command, log=log))
            while not re.search(ready, log.read_text()):
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            return process

        simulate = [sys.executable, "-m", "ntp_usg.simulate", "--offset", AHEAD, "--link"]
        receiver = start("first", *simulate, folder / "first", ready="is there")
        start("second", *simulate, folder / "second", ready="is there")
        start("bridge", sys.executable, "-c", BRIDGE, folder / "second", ready="listening")
        # -n asks the receivers without waiting for clients, -b never writes to them, -N stays in the foreground
        start("gpsd", program, "-n", "-b", "-N", folder / "first", f"tcp://127.0.0.1:{PORT}")
        yield Gpsd(folder / "first", receiver)


@pytest.mark.parametrize("table", ["[gpsd]\nreceiver = '{line}'", "[gpsd]\n", "[shm]\n"])
def test_gpsd_leads_the_daemon_to_stratum_1(gpsd, start_daemon, table):
    with start_daemon(table.format(line=gpsd.line)) as station:
        station.wait_for_lock()
        status = station.status()
        (source,) = status["sources"]
        assert source["name"] in ("GPSD(0)", "SHM(0)")
        assert status["system"]["stratum"] == 1
        late = AHEAD - status["system"]["host_offset"]
        assert 0 < late < 0.5, "no message is early, and none takes half a second"
        assert late < status["system"]["root_distance"]


def test_two_receivers_of_one_gpsd_are_two_sources(gpsd, start_daemon):
    tables = f"[[gpsd]]\nreceiver = '{gpsd.line}'\n[[gpsd]]\nreceiver = 'tcp://127.0.0.1:{PORT}'\n"
    with start_daemon(tables) as station:
        station.wait_until(lambda: all(each["healthy"] for each in station.status()["sources"]), "both to be heard")
        assert [each["name"] for each in station.status()["sources"]] == ["GPSD(0)", "GPSD(1)"]
        station.wait_for_lock()


def test_a_fix_that_is_lost_is_not_followed(gpsd, start_daemon):
    def tell(command: str) -> None:
        gpsd.receiver.stdin.write(command + "\n")
        gpsd.receiver.stdin.flush()

    with start_daemon(f"[gpsd]\nreceiver = '{gpsd.line}'\ntimeout_secs = 3\n") as station:
        station.wait_for_lock()
        tell("lose")
        station.wait_for_log(r"GPSD\(0\): lost")
        tell("regain")
        station.wait_for_lock()
