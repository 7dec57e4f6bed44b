"""A short run of the UBX fuzzer, and a check that its bytes reach every kind of event."""

import subprocess
import sys
from pathlib import Path


def test_no_receivers_bytes_raise_or_pile_up():
    command = [sys.executable, "-m", "tests.fuzz.fuzz_ubx", "--count", "80000"]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stderr
    for event in ("message, GPS, leap 1", "fix, No fix", "correction", "antenna open", "survey-in", "no troubles"):
        assert event in run.stdout
    for description in ("NEO-M8T, protocol 22: timing", "ZED-F9T, protocol 29: timing", "refuses: ", "does not answer"):
        assert description in run.stdout
    for reason in ("bad_checksum", "implausible", "no_date", "stale", "leap_second"):
        assert reason in run.stdout
