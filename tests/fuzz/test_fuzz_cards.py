"""A short run of the fuzzer of cards' and real-time clocks' replies, and a check that they come to every end."""

import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).with_name("fuzz_cards.py")
ENDS = {
    *(f"{way}, {end}" for way in ("plain", "extended", "precise") for end in ("used", "stale", "implausible")),
    *("edge, second", "edge, no second", "edge, far", "capabilities, read", "time, no reading"),
    *("interrupt, update True", "interrupt, update False"),
    *(f"{kind}, refused" for kind in ("plain", "extended", "precise", "edge", "capabilities", "time", "interrupt")),
}


def test_no_reply_raises_or_deceives():
    run = subprocess.run([sys.executable, FUZZER, "--count", "20000"], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert not [end for end in ENDS if end not in run.stdout]
