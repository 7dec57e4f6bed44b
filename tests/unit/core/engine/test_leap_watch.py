"""Leap seconds: announced the day before, counted at midnight, smeared where asked for."""

import pytest

from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.algorithms.leap_list import LeapStep, LeapTable
from ntp_usg.core.base.actions import Note
from ntp_usg.core.base.instants import HostNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.engine.leap_watch import LeapWatch

MIDNIGHT = WallNs(1_798_761_600 * 10**9)  # 2027-01-01
HOUR = 3600 * 10**9
TABLE = LeapTable(
    steps=(LeapStep(WallNs(1_483_228_800 * 10**9), 37), LeapStep(MIDNIGHT, 38)),
    updated=WallNs(MIDNIGHT - 4000 * HOUR),
    expires=WallNs(MIDNIGHT + 4000 * HOUR),
)


def watch(*, smear: bool = False) -> LeapWatch:
    made = LeapWatch(TABLE, smear=smear)
    made.review(WallNs(MIDNIGHT - 48 * HOUR), [])
    return made


def test_a_leap_second_is_announced_on_its_day_and_not_before():
    leap = watch()
    assert leap.announced(WallNs(MIDNIGHT - 30 * HOUR)) is Leap.NONE
    assert leap.announced(WallNs(MIDNIGHT - 23 * HOUR)) is Leap.INSERT


def test_it_happens_once_at_midnight_and_is_not_announced_again():
    leap = watch()
    assert leap.pending(WallNs(MIDNIGHT - HOUR)) == 3600
    assert leap.happen(WallNs(MIDNIGHT - 1)) == 0
    assert leap.happen(MIDNIGHT) == -(10**9)
    assert leap.happen(MIDNIGHT) == 0
    assert leap.review(WallNs(MIDNIGHT - 10**9 + 5), []) == []
    assert leap.announced(WallNs(MIDNIGHT - 10**9 + 5)) is Leap.NONE


def test_tai_is_known_from_the_list():
    assert watch().tai_offset(WallNs(MIDNIGHT - HOUR)) == 37
    assert watch().tai_offset(MIDNIGHT) == 38


def test_one_false_leap_is_outvoted_and_told_once():
    leap = LeapWatch(None, smear=False)
    voices = [
        Announcement("liar", Leap.INSERT, Weight.NETWORK),
        Announcement("a", Leap.NONE, Weight.NETWORK),
        Announcement("b", Leap.NONE, Weight.NETWORK),
    ]
    (note,) = leap.review(WallNs(MIDNIGHT - 48 * HOUR), voices)
    assert isinstance(note, Note)
    assert "liar is outvoted" in note.text
    assert leap.review(WallNs(MIDNIGHT - 40 * HOUR), voices) == []
    assert leap.pending(WallNs(MIDNIGHT - HOUR)) is None


@pytest.mark.parametrize(("hours", "lag"), [(-13, 0.0), (-12, 0.0), (-6, 0.25), (0, 0.5), (6, 0.75), (12.1, 1.0)])
def test_smeared_time_lags_more_and_more_until_it_is_utc_again(hours, lag):
    leap = watch(smear=True)
    count = HostNs(round(MIDNIGHT + hours * HOUR))
    served = ClockMapping()
    if hours >= 0:
        assert leap.happen(MIDNIGHT) == -(10**9)
        served = ClockMapping(offset_ns=-(10**9))
    smeared = leap.smeared(served, count)
    # `count` counts on over the leap as if there were none; half way through, smeared time is half a second behind it.
    assert (count - smeared.wall(count)) / 1e9 == pytest.approx(lag, abs=1e-4)
    assert leap.announced(WallNs(MIDNIGHT - HOUR)) is Leap.NONE


def test_smeared_time_runs_evenly():
    leap = watch(smear=True)
    mapping = leap.smeared(ClockMapping(), HostNs(MIDNIGHT - 6 * HOUR))
    assert mapping.rate == pytest.approx(-1 / 86401, rel=1e-3)


def test_a_newer_list_counts_at_once():
    leap = LeapWatch(LeapTable(TABLE.steps[:1], TABLE.updated, TABLE.expires), smear=False)
    now = WallNs(MIDNIGHT - HOUR)
    leap.review(now, [])
    assert leap.announced(now) is Leap.NONE
    leap.replace(TABLE)
    leap.review(now, [])
    assert leap.announced(now) is Leap.INSERT


def test_it_is_known_when_to_look_again_for_the_announcement_the_event_and_both_ends_of_the_smear():
    def moments(*, smear):
        leap, found = watch(smear=smear), []
        for hours in (-36, -18, -6, 6):
            now = WallNs(MIDNIGHT + hours * HOUR)
            leap.happen(now)
            due = leap.due_in(now)
            found.append(None if due is None else round(hours + due / 3600, 3))
        return found

    assert moments(smear=False) == [-24, 0, 0, None]
    assert moments(smear=True) == [-24, -12, 0, 12]
