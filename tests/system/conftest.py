"""A machine of our own to run tests in: user-mode-linux, a real kernel as a process, with its own clock and devices."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

GUEST = Path(__file__).parent / "guest"


class Guest:
    """Boots a kernel on the host's files (read-only), runs one script of `guest/` in it as root and powers off.

    The script reports by printing one line, "GUEST RESULT" and a JSON object.
    """

    def __init__(self, kernel: Path, library: Path, new_directory: Callable[[], Path]) -> None:
        """`library` is guest/ptrace.c, compiled."""
        self._kernel = kernel
        self._library = library
        self._new_directory = new_directory

    def run(self, script: str, *, modules: tuple[str, ...] = (), timeout: float = 50) -> dict[str, Any]:
        """The result of a script, after loading the kernel's `modules`; fails with the guest's whole console."""
        console = self._boot(self._command(script, modules), timeout)
        if "GUEST EXIT 0" in console:
            for line in console.splitlines():
                if line.startswith("GUEST RESULT "):
                    result: dict[str, Any] = json.loads(line.removeprefix("GUEST RESULT "))
                    return result
        pytest.fail(f"{script} failed in the guest:\n{console}", pytrace=False)

    def _command(self, script: str, modules: tuple[str, ...]) -> list[str]:
        return [
            *(str(self._kernel), "mem=256M", "quiet", f"uml_dir={self._new_directory()}/", "umid=guest"),
            *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
            *("con=null", "con0=null,fd:1", f"init={GUEST / 'init'}"),
            # Whatever the kernel does not know becomes the environment of init.
            f"GUEST_PYTHON={sys.executable}",
            f"GUEST_SCRIPT={GUEST / script}",
            f"GUEST_MODULES={','.join(modules)}",
        ]

    def _boot(self, command: list[str], timeout: float) -> str:
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, "LD_PRELOAD": str(self._library)},
        ) as process:
            try:
                return process.communicate(timeout=timeout)[0]
            except subprocess.TimeoutExpired:
                # The kernel and each of the guest's processes are processes of the host, all in this new group.
                os.killpg(process.pid, signal.SIGKILL)
                return f"{process.communicate()[0]}\nstopped: it took longer than {timeout:g} s"


@pytest.fixture(scope="session")
def guest(require_peer: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Guest:
    kernel, library = require_peer("linux.uml"), tmp_path_factory.mktemp("library") / "ptrace.so"
    subprocess.run([require_peer("cc"), "-shared", "-fPIC", "-o", library, GUEST / "ptrace.c"], check=True)
    return Guest(kernel, library, lambda: tmp_path_factory.mktemp("guest"))
