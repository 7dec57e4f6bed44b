"""A short run of the fuzzer of answers, and a check that it reaches every verdict."""

import pytest

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
def test_no_answer_raises_or_is_believed_without_a_question(fuzz, seed: int):
    ends = fuzz("client", 30_000, seed)
    assert {line.split()[1] for line in ends.splitlines() if not line.startswith("==")} == REACHED
