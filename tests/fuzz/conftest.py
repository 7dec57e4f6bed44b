import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def fuzz() -> Callable[..., str]:
    """Runs a target of script/fuzz for so many inputs; how often each came to which end."""

    def run(target: str, count: int, seed: int = 1) -> str:
        command = [sys.executable, "-m", "tests.fuzz.run", target, "--inputs", str(count), "--seed", str(seed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
