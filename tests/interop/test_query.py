"""`ntp_usg query` against Debian's chronyd, as a server that we did not write."""

import contextlib
import getpass
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ntp_usg.cli.main import app

pytestmark = pytest.mark.peer


@pytest.fixture
def chronyd_port(require_peer: Callable[[str], Path], tmp_path: Path) -> Iterator[int]:
    """A chronyd that serves this machine's time at stratum 3 and leaves its clock alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    configuration = tmp_path / "chrony.conf"
    configuration.write_text(
        f"port {port}\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress /\nallow 127.0.0.1\n"
        f"local stratum 3\npidfile {tmp_path}/pid\n"
    )
    command = [str(require_peer("chronyd")), "-x", "-d", "-U", "-u", getpass.getuser(), "-f", str(configuration)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            yield port
        finally:
            server.terminate()


def test_chronyd_is_understood(chronyd_port: int):
    deadline = time.monotonic() + 10
    while True:
        result = CliRunner().invoke(app, ["query", "--json", f"127.0.0.1:{chronyd_port}"], catch_exceptions=False)
        if result.exit_code == 0 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    (found,) = json.loads(result.stdout)["servers"]
    assert (found["stratum"], found["leap"], found["reference_id"]) == (3, "none", "127.127.1.1")
    assert 0 < found["delay"] < 0.1
    assert abs(found["offset"]) < found["delay"] / 2 + 1e-3


def test_chronyd_answers_symmetric_active_in_symmetric_passive_as_we_do(chronyd_port: int):
    request = b"\x19" + bytes(39) + bytes.fromhex("ed3d1f0011223344")
    deadline = time.monotonic() + 10
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", chronyd_port))
        answer = b""
        while not answer and time.monotonic() < deadline:
            with contextlib.suppress(OSError):  # until it listens
                client.send(request)
                answer = client.recv(1024)
    assert (answer[0] & 0x3F, len(answer), answer[24:32]) == (0x1A, 48, request[40:])
