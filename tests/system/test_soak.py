"""A minute of `script/soak`: it runs, finds its way through real processes, and everything holds."""

import json
import subprocess
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "script/soak"


@pytest.mark.timeout(180)
def test_a_minute_of_random_faults_breaks_nothing():
    command = [str(SOAK), "--minutes", "0.9", "--pause", "3", "--seed", "9", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)
    if done.returncode == 69:
        pytest.skip(done.stderr)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["synchronised"] > 100, "the daemon has locked"
    assert found["faults"] > 0
