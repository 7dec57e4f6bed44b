"""A short run of the NMEA fuzzer, and a check that its bytes reach every kind of event."""

import pytest


@pytest.mark.parametrize("seed", [1, 2])
def test_no_receivers_bytes_raise_or_pile_up(fuzz, seed: int):
    ends = fuzz("parser-nmea", 20_000, seed)
    for event in ("message, GPS", "fix, No fix", "antenna open", "taken for", "no troubles"):
        assert event in ends
    for reason in ("bad_checksum", "implausible", "no_date", "stale", "leap_second"):
        assert f"rejected/{reason}" in ends
