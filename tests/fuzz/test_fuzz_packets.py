"""A short run of the packet fuzzer, and a check that it gets past the first length test."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_packets.py")


@pytest.mark.parametrize("seed", [1, 2])
def test_no_datagram_raises_or_gets_an_answer_longer_than_itself(seed: int) -> None:
    run = subprocess.run(
        [sys.executable, FUZZER, "--count", "30000", "--seed", str(seed)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    for verdict in ("answered/basic", "answered/interleaved", "answered/rate_kiss", "dropped/bad_format", "handed_up/"):
        assert verdict in run.stdout
