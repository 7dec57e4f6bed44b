"""Real-time clocks: what they show, and the moment at which a second begins."""

import struct
from datetime import datetime

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.receivers.rtc import RtcInterrupt, SecondHand, parse_interrupt, parse_rtc_time

HOST = 1_795_300_000 * NS_PER_SECOND
MS = 1_000_000


def shown(*fields: int) -> bytes:
    return struct.pack("=9i", *fields, 0, 0, 0)


def test_the_time_is_read():
    assert parse_rtc_time(shown(56, 34, 12, 22, 10, 126)) == datetime(2026, 11, 22, 12, 34, 56)  # noqa: DTZ001


@pytest.mark.parametrize(
    "fields",
    [
        (60, 0, 0, 1, 0, 126),
        (-1, 0, 0, 1, 0, 126),
        (0, 60, 0, 1, 0, 126),
        (0, 0, 24, 1, 0, 126),
        (0, 0, 0, 0, 0, 126),
        (0, 0, 0, 30, 1, 126),
        (0, 0, 0, 1, 12, 126),
        (0, 0, 0, 1, 0, 69),
        (0, 0, 0, 1, 0, 300),
        (2**31 - 1, 0, 0, 1, 2**31 - 1, 2**31 - 1),
    ],
)
def test_what_no_clock_shows_is_refused(fields):
    with pytest.raises(WireError, match="a real-time clock"):
        parse_rtc_time(shown(*fields))


def test_other_lengths_are_refused():
    with pytest.raises(WireError, match="36 bytes"):
        parse_rtc_time(bytes(35))
    with pytest.raises(WireError, match="4 or 8 bytes"):
        parse_interrupt(b"")


@pytest.mark.parametrize("layout", ["=I", "=Q"])
def test_an_interrupt_says_what_it_is_and_how_many_there_were(layout):
    assert parse_interrupt(struct.pack(layout, 0x190)) == RtcInterrupt(update=True, count=1)
    assert parse_interrupt(struct.pack(layout, 0x2A0)) == RtcInterrupt(update=False, count=2)


def look(*looks: tuple[int, int, int]) -> list[Measurement | None]:
    """At each: milliseconds before and after, and the second that was shown."""
    hand = SecondHand()
    return [
        hand.look(HostNs(HOST + before * MS), WallNs(HOST + second * NS_PER_SECOND), HostNs(HOST + after * MS))
        for before, after, second in looks
    ]


def test_a_second_begins_between_two_looks():
    *nothing, found = look((990, 991, 5), (993, 994, 5), (996, 998, 6))
    assert nothing == [None, None]
    assert found is not None
    assert found.at == HOST + 995_500_000
    assert found.at + found.offset_ns == HOST + 6 * NS_PER_SECOND
    assert found.dispersion == pytest.approx(0.0025)


@pytest.mark.parametrize(
    "second_look", [(996, 998, 7), (996, 998, 4), (1500, 1501, 6), (900, 901, 6)], ids=["two", "back", "late", "set"]
)
def test_a_jump_or_a_long_absence_is_no_beginning(second_look):
    assert look((990, 991, 5), second_look) == [None, None]


def test_after_a_change_there_is_nothing_to_see_for_a_while():
    hand = SecondHand()
    rests = []
    for before, second in ((0, 5), (2, 5), (4, 6), (950, 6), (1002, 9)):
        hand.look(HostNs(before * MS), WallNs(second * NS_PER_SECOND), HostNs((before + 1) * MS))
        rests.append(hand.rests)
    assert rests == [False, False, True, False, True]
