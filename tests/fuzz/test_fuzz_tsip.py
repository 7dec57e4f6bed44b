"""A short run of the TSIP fuzzer, and a check that its bytes reach every kind of event."""

import subprocess
import sys
from pathlib import Path


def test_no_receivers_bytes_raise_or_pile_up():
    command = [sys.executable, "-m", "tests.fuzz.fuzz_tsip", "--count", "30000"]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stderr
    for event in ("message, GPS, leap 0", "fix, No fix", "holdover", "antenna open", "taken for", "no troubles"):
        assert event in run.stdout
    for reason in ("implausible", "no_date", "stale", "leap_second"):
        assert f"rejected/{reason}" in run.stdout
