"""The program `ntp_usg`, as a process of its own."""

import signal
import subprocess
import sys

INTERRUPTED = """
import os, signal, sys
class Loading:
    def find_spec(self, name, *_):
        if name == "ntp_usg.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Loading())
from ntp_usg.cli.tool import app
app()
"""


def test_ctrl_c_while_the_program_loads_ends_it_without_a_traceback():
    command = [sys.executable, "-c", INTERRUPTED, "status"]
    result = subprocess.run(command, capture_output=True, check=False, text=True, timeout=30)
    assert (result.returncode, result.stderr) == (-signal.SIGINT, "")
