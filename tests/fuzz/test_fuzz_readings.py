"""A short run of the fuzzer of readings, and a check that its bytes come to every end."""


def test_no_other_programs_bytes_raise_or_deceive(fuzz):
    ends = fuzz("readings", 20_000)
    for end in ("used", "stale", "implausible", "refused"):
        for name in ("sock", "memory", "gpsd"):
            assert f"{name}, {end}" in ends
    assert "gpsd, no reading" in ends
