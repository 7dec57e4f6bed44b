from datetime import UTC, datetime

import pytest

from ntp_usg.core.algorithms.leap import Announcement, Weight, decide_leap
from ntp_usg.core.algorithms.leap_list import LeapStep, LeapTable
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.snapshots import Leap


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> WallNs:
    return WallNs(int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 1_000_000_000)


def network(name: str, leap: Leap) -> Announcement:
    return Announcement(name, leap, Weight.NETWORK)


DECEMBER = utc(2026, 12, 31, 6)
SILENT = LeapTable((LeapStep(utc(2017, 1, 1), 37),), utc(2026, 7, 1), utc(2027, 6, 28))
LEAPING = LeapTable((*SILENT.steps, LeapStep(utc(2027, 1, 1), 38)), utc(2026, 7, 1), utc(2027, 6, 28))


def test_a_majority_of_servers_decides_where_nobody_knows_better():
    voices = [network("a", Leap.INSERT), network("b", Leap.INSERT), network("c", Leap.NONE)]
    decision = decide_leap(voices, None, DECEMBER)
    assert (decision.leap, decision.at) == (Leap.INSERT, utc(2027, 1, 1))
    assert decision.outvoted == ("c",)
    assert decision.reason.startswith("An inserted second before 2027-01-01, by 2 of 3 votes.")


def test_a_single_false_leap_is_outvoted_and_reported():
    voices = [network("a", Leap.INSERT), network("b", Leap.NONE), network("c", Leap.NONE)]
    decision = decide_leap(voices, None, DECEMBER)
    assert decision.leap is Leap.NONE
    assert decision.outvoted == ("a",)
    assert "a is outvoted: it announces an inserted second." in decision.reason


def test_half_of_the_votes_is_no_majority():
    assert decide_leap([network("a", Leap.INSERT), network("b", Leap.NONE)], None, DECEMBER).leap is Leap.NONE


def test_a_receiver_counts_for_more_than_a_server():
    voices = [Announcement("GPS", Leap.DELETE, Weight.REFCLOCK), network("a", Leap.NONE)]
    assert decide_leap(voices, None, DECEMBER).leap is Leap.DELETE


def test_the_file_outweighs_servers_that_have_not_heard_of_the_leap():
    voices = [network(name, Leap.NONE) for name in "abcd"]
    assert decide_leap(voices, LEAPING, DECEMBER).leap is Leap.INSERT


def test_the_file_outvotes_servers_that_announce_a_false_leap():
    voices = [network(name, Leap.INSERT) for name in "abcd"]
    decision = decide_leap(voices, SILENT, DECEMBER)
    assert decision.leap is Leap.NONE
    assert decision.outvoted == ("a", "b", "c", "d")


def test_an_expired_file_has_no_vote_and_is_reported():
    at = utc(2027, 12, 31)
    decision = decide_leap([network("a", Leap.INSERT)], SILENT, at)
    assert decision.leap is Leap.INSERT
    assert "leap-seconds.list expired on 2027-06-28 and has no vote." in decision.reason


def test_a_source_that_is_not_synchronised_has_no_vote():
    voices = [network("a", Leap.INSERT), network("b", Leap.UNSYNCHRONISED)]
    assert decide_leap(voices, None, DECEMBER).leap is Leap.INSERT


def test_nobody_makes_no_leap_second():
    decision = decide_leap([], None, DECEMBER)
    assert (decision.leap, decision.reason) == (Leap.NONE, "Nobody votes.")


def test_in_an_unusual_month_only_the_file_is_believed():
    march = utc(2027, 3, 31)
    table = LeapTable((*SILENT.steps, LeapStep(utc(2027, 4, 1), 38)), SILENT.updated, SILENT.expires)
    decision = decide_leap([network("a", Leap.INSERT)], None, march)
    assert decision.leap is Leap.NONE
    assert "not in this month" in decision.reason
    assert decision.outvoted == ("a",)
    assert decide_leap([network("a", Leap.INSERT)], table, march).leap is Leap.INSERT


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (utc(2026, 12, 30, 23, 59, 59), Leap.NONE),
        (utc(2026, 12, 31), Leap.INSERT),
        (utc(2026, 12, 31, 23, 59, 59), Leap.INSERT),
        (utc(2027, 1, 1), Leap.NONE),
    ],
)
def test_the_leap_is_announced_on_the_last_day_only(now, said):
    decision = decide_leap([], LEAPING, DECEMBER)
    assert decision.announced(now) is said


def test_with_a_months_notice_the_leap_is_announced_all_month():
    assert decide_leap([], LEAPING, DECEMBER).announced(utc(2026, 12, 2), notice=31 * 86_400) is Leap.INSERT


def test_after_the_midnight_the_vote_is_about_the_next_month():
    decision = decide_leap([], LEAPING, utc(2027, 1, 1))
    assert (decision.leap, decision.at) == (Leap.NONE, utc(2027, 2, 1))
