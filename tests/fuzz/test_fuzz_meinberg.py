"""A short run of the fuzzer of Meinberg's telegrams, and a check that its bytes reach every kind of event."""


def test_no_clocks_bytes_raise_or_pile_up(fuzz):
    ends = fuzz("parser-meinberg", 30_000)
    for event in ("message, GPS, leap None", "message, No fix", "bad_checksum", "stale", "position not checked yet"):
        assert event in ends
    assert "no troubles" in ends
