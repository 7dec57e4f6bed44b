"""A short run of the UBX fuzzer, and a check that its bytes reach every kind of event."""


def test_no_receivers_bytes_raise_or_pile_up(fuzz):
    ends = fuzz("parser-ubx", 80_000)
    for event in ("message, GPS, leap 1", "fix, No fix", "correction", "antenna open", "survey-in", "no troubles"):
        assert event in ends
    for description in ("NEO-M8T, protocol 22: timing", "ZED-F9T, protocol 29: timing", "refuses: ", "does not answer"):
        assert description in ends
    for reason in ("bad_checksum", "implausible", "no_date", "stale", "leap_second"):
        assert reason in ends
