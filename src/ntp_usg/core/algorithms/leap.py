"""Whether this month ends in a leap second: a vote, for more than one server has announced a leap that never came."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from ntp_usg.core.algorithms.leap_list import LeapTable
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs, seconds
from ntp_usg.core.base.snapshots import Leap

DAY = 86_400.0
USUAL_MONTHS = (6, 12)
"""All leap seconds since 1972 came at the end of June or December; ITU-R TF.460 names other months as a last resort."""
FILE = "leap-seconds.list"

_WORDS = {Leap.NONE: "no leap second", Leap.INSERT: "an inserted second", Leap.DELETE: "a deleted second"}


class Weight(IntEnum):
    """What a voice counts for."""

    NETWORK = 1
    """Servers repeat what they hear, and many know of no leap seconds at all."""
    REFCLOCK = 2
    """Satellites announce leap seconds months ahead."""
    FILE = 8
    """Checked by its hash and not expired: it must outweigh a handful of servers that have never heard of the leap."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a source says of the end of the current UTC month. One that cannot know makes none."""

    source: str
    leap: Leap
    weight: Weight


@dataclass(frozen=True, slots=True)
class LeapDecision:
    """What happens at the end of the month, and why in words."""

    leap: Leap
    at: WallNs
    """The midnight (UTC) that ends the month, and the leap second before it."""
    reason: str
    outvoted: tuple[str, ...] = ()
    """Sources that announced something else."""

    def announced(self, now: WallNs, notice: float = DAY) -> Leap:
        """What answers may say: nothing until `notice` seconds before.

        RFC 5905 section 7.3 allows a month, but most clients take it for the end of the day.
        """
        return self.leap if 0 < seconds(self.at - now) <= notice else Leap.NONE


def decide_leap(announcements: Sequence[Announcement], table: LeapTable | None, now: WallNs) -> LeapDecision:
    """The majority by weight; `table` is the leap second file, where there is one."""
    at = _end_of_month(now)
    voices = [each for each in announcements if each.leap is not Leap.UNSYNCHRONISED]
    remark = ""
    if table is not None and table.expired(now):
        remark = f" {FILE} expired on {_date(table.expires)} and has no vote."
    elif table is not None:
        voices.append(Announcement(FILE, table.leap_at(at), Weight.FILE))
    leap, reason = _count(voices, at)
    outvoted = [each for each in voices if each.leap is not leap]
    for each in outvoted:
        remark += f" {each.source} is outvoted: it announces {_WORDS[each.leap]}."
    return LeapDecision(leap, at, reason + remark, tuple(each.source for each in outvoted))


def _count(voices: Sequence[Announcement], at: WallNs) -> tuple[Leap, str]:
    total = sum(each.weight for each in voices)
    for leap in (Leap.INSERT, Leap.DELETE):
        weight = sum(each.weight for each in voices if each.leap is leap)
        if weight * 2 <= total:
            continue
        said = f"{_WORDS[leap]} before {_date(at)}, by {weight} of {total} votes"
        if not _usual(at) and not any(each.weight is Weight.FILE for each in voices):
            return Leap.NONE, f"No leap second: {said}, but not in this month unless {FILE} says so."
        return leap, f"{said[0].upper()}{said[1:]}."
    weight = sum(each.weight for each in voices if each.leap is Leap.NONE)
    return Leap.NONE, f"No leap second before {_date(at)}: {weight} of {total} votes." if total else "Nobody votes."


def _usual(at: WallNs) -> bool:
    return _utc(WallNs(at - NS_PER_SECOND)).month in USUAL_MONTHS


def _end_of_month(now: WallNs) -> WallNs:
    today = _utc(now)
    year, month = (today.year + 1, 1) if today.month == 12 else (today.year, today.month + 1)
    return WallNs(int(datetime(year, month, 1, tzinfo=UTC).timestamp()) * NS_PER_SECOND)


def _utc(at: WallNs) -> datetime:
    return datetime.fromtimestamp(at // NS_PER_SECOND, UTC)


def _date(at: WallNs) -> str:
    return f"{_utc(at):%Y-%m-%d}"
