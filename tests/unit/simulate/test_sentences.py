"""A burst reads like a receiver's own; that our own parser agrees is a property test."""

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality
from ntp_usg.simulate.sentences import Sky, build_burst

SECOND = WallNs(1_771_245_296 * NS_PER_SECOND)  # 2026-02-16 12:34:56 UTC


def bodies(sky: Sky) -> list[str]:
    return [line.removeprefix("$")[:-3] for line in build_burst(SECOND, sky).decode().splitlines()]


def test_a_burst_with_a_fix():
    assert bodies(Sky(satellites=5, quality=FixQuality.DGPS)) == [
        "GNRMC,123456.00,A,5128.67400,N,00000.08820,W,0.012,,160226,,,D,V",
        "GNGGA,123456.00,5128.67400,N,00000.08820,W,2,05,1.20,46.9,M,45.5,M,,",
        "GNGSA,A,3,01,06,11,16,21,,,,,,,,1.20,1.20,1.20,1",
        "GPGSV,2,1,08,01,05,188,26,06,22,235,30,11,39,282,34,16,56,329,39,1",
        "GPGSV,2,2,08,21,73,016,43,26,10,063,,31,27,110,,04,44,157,,1",
        "GNGLL,5128.67400,N,00000.08820,W,123456.00,A,D",
        "GNZDA,123456.00,16,02,2026,00,00",
    ]


def test_a_burst_without_a_fix_still_tells_the_time():
    assert bodies(Sky(quality=FixQuality.NO_FIX)) == [
        "GNRMC,123456.00,V,,,,,,,160226,,,N,V",
        "GNGGA,123456.00,,,,,0,00,99.99,,,,,,",
        "GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99,1",
        "GPGSV,1,1,03,01,05,188,,06,22,235,,11,39,282,,1",
        "GNGLL,,,,,123456.00,V,N",
        "GNZDA,123456.00,16,02,2026,00,00",
    ]


def test_no_sentence_is_longer_than_the_standard_allows():
    for satellites in range(1, 25):
        burst = build_burst(SECOND, Sky(satellites))
        assert max(len(line) for line in burst.splitlines(keepends=True)) <= 82


def test_no_two_satellites_have_one_number():
    numbers = []
    for line in bodies(Sky(satellites=24)):
        if line.startswith("GPGSV"):
            numbers += line.split(",")[4:-1:4]
    assert len(numbers) == len(set(numbers)) == 27
