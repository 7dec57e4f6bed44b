"""A short run of the Oncore fuzzer, and a check that its bytes reach every kind of event."""

import subprocess
import sys
from pathlib import Path


def test_no_receivers_bytes_raise_or_pile_up():
    command = [sys.executable, "-m", "tests.fuzz.fuzz_oncore", "--count", "30000"]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stderr
    for event in (
        "message, GPS, leap 0",
        "fix, No fix",
        "antenna open",
        "T-RAIM alarm",
        "site survey 5 %",
        "correction",
    ):
        assert event in run.stdout
    for reason in ("bad_checksum", "implausible", "no_date", "stale"):
        assert f"rejected/{reason}" in run.stdout
