"""A short run of the fuzzer of Meinberg's telegrams, and a check that its bytes reach every kind of event."""

import subprocess
import sys
from pathlib import Path


def test_no_clocks_bytes_raise_or_pile_up():
    command = [sys.executable, "-m", "tests.fuzz.fuzz_meinberg", "--count", "30000"]
    root = Path(__file__).parents[2]
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert run.returncode == 0, run.stderr
    for event in ("message, GPS, leap None", "message, No fix", "bad_checksum", "stale", "position not checked yet"):
        assert event in run.stdout
    assert "no troubles" in run.stdout
