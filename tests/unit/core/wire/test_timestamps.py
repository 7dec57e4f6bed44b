from datetime import UTC, datetime

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.wire.timestamps import from_ntp, from_short, to_ntp, to_short


def wall(text: str) -> WallNs:
    return WallNs(int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)


@pytest.mark.parametrize(
    ("date", "seconds"),
    [  # RFC 5905 figure 4
        ("1900-01-01", 0),
        ("1970-01-01", 2_208_988_800),
        ("1972-01-01", 2_272_060_800),
        ("1999-12-31", 3_155_587_200),
        ("2036-02-07T06:28:15", 0xFFFF_FFFF),
        ("2036-02-08", 63_104),
    ],
)
def test_the_dates_of_rfc_5905_have_its_numbers(date: str, seconds: int) -> None:
    assert to_ntp(wall(date)) == seconds << 32


def test_a_fraction_is_counted_in_units_of_2_to_the_minus_32_seconds() -> None:
    assert to_ntp(WallNs(wall("2026-02-16") + 500_000_000)) & 0xFFFF_FFFF == 0x8000_0000
    assert to_ntp(WallNs(wall("2026-02-16") + 1)) & 0xFFFF_FFFF == 4


@pytest.mark.parametrize(
    ("seconds", "pivot", "meant"),
    [
        (0xFFFF_FFFF, "2036-02-07", "2036-02-07T06:28:15"),
        (0, "2036-02-07", "2036-02-07T06:28:16"),
        (0, "2026-02-16", "2036-02-07T06:28:16"),
        (0xFFFF_FFFF, "2040-01-01", "2036-02-07T06:28:15"),
        (63_104, "2104-02-26", "2036-02-08"),
        (63_104, "2105-01-01", "2172-03-16T06:28:16"),
        (2_208_988_800, "2026-02-16", "1970-01-01"),
    ],
)
def test_a_timestamp_means_the_instant_nearest_to_the_pivot(seconds: int, pivot: str, meant: str) -> None:
    assert from_ntp(seconds << 32, wall(pivot)) == wall(meant)


@pytest.mark.parametrize(
    ("seconds", "value"),
    [
        (0.0, 0),
        (1e-9, 1),
        (1.0, 0x0001_0000),
        (1.0 + 1e-9, 0x0001_0001),
        (65535.0 + 65535 / 65536, 0xFFFF_FFFF),
        (65536.0, 0xFFFF_FFFF),
        (float("inf"), 0xFFFF_FFFF),
        (float("nan"), 0xFFFF_FFFF),
        (-1.0, 0),
        (float("-inf"), 0),
    ],
)
def test_short_format_rounds_up_and_saturates(seconds: float, value: int) -> None:
    assert to_short(seconds) == value


def test_short_format_reads_back_in_seconds() -> None:
    assert from_short(0x0001_8000) == 1.5
