"""A short run of the NMEA fuzzer, and a check that its bytes reach every kind of event."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("seed", ["1", "2"])
def test_no_receivers_bytes_raise_or_pile_up(seed):
    command = [sys.executable, "-m", "tests.fuzz.fuzz_nmea", "--count", "20000", "--seed", seed]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stderr
    for event in ("message, GPS", "fix, No fix", "antenna open", "taken for", "no troubles"):
        assert event in run.stdout
    for reason in ("bad_checksum", "implausible", "no_date", "stale", "leap_second"):
        assert f"rejected/{reason}" in run.stdout
