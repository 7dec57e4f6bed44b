"""Daemons in the guest: started with what a test asks for, and asked over their control sockets."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["TMPDIR"])


class Daemon:
    """One with the virtual clock; several can run side by side."""

    def __init__(self, name: str, tables: str, port: int, *, step_threshold: str = "128ms") -> None:
        self._folder = FOLDER / name
        self._folder.mkdir()
        (self._folder / "server.toml").write_text(f"""
[server]
listen_addr = ["127.0.0.1:{port}"]
control_socket = "{self._folder}/control.sock"
clock = "virtual"
workers = 0
[metrics]
enabled = false
[clock]
drift_file = ""
step_threshold = "{step_threshold}"
{tables}""")
        program = Path(sys.executable).parent / "ntp_usg_server"
        with (self._folder / "log").open("w") as log:
            self._process = subprocess.Popen(
                [program, "--config", self._folder / "server.toml"], stderr=log, stdout=log
            )

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def status(self) -> dict[str, Any]:
        """What it says of itself; OSError while it is not up yet."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(5)
        connection.sock.connect(f"{self._folder}/control.sock")
        connection.request("GET", "/api/v1/status")
        answer: dict[str, Any] = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def wait_until(self, condition: Callable[[dict[str, Any]], bool], timeout: float = 40) -> bool:
        """Whether its status came to fulfil a condition."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                if condition(self.status()):
                    return True
            except OSError:
                pass  # it is about to begin
            time.sleep(0.3)
        return False

    def stop(self) -> int:
        """Its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)


def is_synchronised(status: dict[str, Any]) -> bool:
    return bool(status["system"]["phase"] == "synchronised")
