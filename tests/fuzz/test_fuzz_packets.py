"""A short run of the packet fuzzer, and a check that it gets past the first length test."""

import pytest


@pytest.mark.parametrize("seed", [1, 2])
def test_no_datagram_raises_or_gets_an_answer_longer_than_itself(fuzz, seed: int):
    ends = fuzz("packets", 30_000, seed)
    for verdict in ("answered/basic", "answered/interleaved", "answered/rate_kiss", "dropped/bad_format", "handed_up/"):
        assert verdict in ends
