"""`ntp_usg demo` as in a terminal, where Ctrl-C reaches every process of the foreground group."""

import os
import signal
import time
from pathlib import Path

from tests.interop.conftest import EXECUTABLES, Host


def test_ctrl_c_in_a_terminal_does_not_end_the_daemon_before_its_last_status_is_shown(host: Host, tmp_path: Path):
    with host.running(EXECUTABLES / "ntp_usg", "demo", log=tmp_path / "log") as demo:
        children = Path(f"/proc/{demo.pid}/task/{demo.pid}/children")
        deadline = time.monotonic() + 30
        while not (found := children.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert os.getpgid(int(found[0])) != os.getpgid(demo.pid)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 1
