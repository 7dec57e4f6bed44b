"""A short run of the UBX fuzzer, and a check that its bytes reach every kind of event."""

import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).with_name("fuzz_ubx.py")


def test_no_receivers_bytes_raise_or_pile_up():
    run = subprocess.run([sys.executable, FUZZER, "--count", "30000"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for event in ("message, GPS, leap 1", "fix, No fix", "correction", "antenna open", "no troubles"):
        assert event in run.stdout
    for reason in ("bad_checksum", "implausible", "no_date", "stale", "leap_second"):
        assert reason in run.stdout
