"""A short run of the fuzzer of answers, and a check that it reaches every verdict."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_client.py")
REACHED = {
    "exchange",
    "bogus_origin",
    "duplicate",
    "not_an_answer",
    "bad_version",
    "bad_format",
    "too_short",
    "unsynchronised_server",
    "too_distant",
    "bad_timestamps",
    "too_late",
    "loop",
    "kiss_rate",
    "kiss_deny",
    "kiss_rstr",
}


@pytest.mark.parametrize("seed", [1, 2])
def test_no_answer_raises_or_is_believed_without_a_question(seed: int) -> None:
    run = subprocess.run(
        [sys.executable, FUZZER, "--count", "30000", "--seed", str(seed)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert {line.split()[1] for line in run.stdout.splitlines()} == REACHED
