"""A short run of the fuzzer of readings, and a check that its bytes come to every end."""

import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).with_name("fuzz_readings.py")


def test_no_other_programs_bytes_raise_or_deceive():
    run = subprocess.run([sys.executable, FUZZER, "--count", "20000"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    ends = {
        f"{name}, {end}" for name in ("sock", "memory", "gpsd") for end in ("used", "stale", "implausible", "refused")
    }
    assert not [end for end in ends | {"gpsd, no reading"} if end not in run.stdout]
