"""A short run of the Oncore fuzzer, and a check that its bytes reach every kind of event."""


def test_no_receivers_bytes_raise_or_pile_up(fuzz):
    ends = fuzz("parser-oncore", 30_000)
    for event in (
        "message, GPS, leap 0",
        "fix, No fix",
        "antenna open",
        "T-RAIM alarm",
        "site survey 5 %",
        "correction",
    ):
        assert event in ends
    for reason in ("bad_checksum", "implausible", "no_date", "stale"):
        assert f"rejected/{reason}" in ends
