"""A short run of the TSIP fuzzer, and a check that its bytes reach every kind of event."""


def test_no_receivers_bytes_raise_or_pile_up(fuzz):
    ends = fuzz("parser-tsip", 30_000)
    for event in ("message, GPS, leap 0", "fix, No fix", "holdover", "antenna open", "taken for", "no troubles"):
        assert event in ends
    for reason in ("implausible", "no_date", "stale", "leap_second"):
        assert f"rejected/{reason}" in ends
