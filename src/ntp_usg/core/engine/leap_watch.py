"""Leap seconds from the vote to the event: what is announced, when it happens, and smear for those who want none."""

from collections.abc import Sequence

from ntp_usg.core.algorithms.leap import DAY, Announcement, LeapDecision, decide_leap
from ntp_usg.core.algorithms.leap_list import LeapTable
from ntp_usg.core.algorithms.smear import HALF_DAY, SmearKind, smear_offset
from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap

SHIFTS_NS = {Leap.INSERT: -NS_PER_SECOND, Leap.DELETE: NS_PER_SECOND}
"""What a leap second does to the count of seconds."""
REVIEW_INTERVAL = 60.0
SMEARED = HALF_DAY + 1
"""So many seconds after a leap second its smear is over."""


class LeapWatch:
    """Holds the vote, and knows when its outcome is due."""

    def __init__(self, table: LeapTable | None, *, smear: bool) -> None:
        self._table = table
        self._smear = smear
        self._decision: LeapDecision | None = None
        self._happened: LeapDecision | None = None
        self._reviewed_at: WallNs | None = None

    def replace(self, table: LeapTable) -> None:
        """Vote by another list from now on."""
        self._table = table
        self._reviewed_at = None

    def tai_offset(self, now: WallNs) -> int | None:
        """Seconds that TAI is ahead of UTC, where the list says so."""
        return self._table.tai_offset(now) if self._table else None

    def review(self, now: WallNs, announcements: Sequence[Announcement]) -> list[Action]:
        """Count the votes again once a minute; people hear of every change."""
        if self._reviewed_at is not None and abs(seconds(now - self._reviewed_at)) < REVIEW_INTERVAL:
            return []
        self._reviewed_at = now
        before, decision = self._decision, decide_leap(announcements, self._table, now)
        if self._happened is not None and decision.at == self._happened.at:
            return []  # the servers' bits and the second itself need not change in the same moment
        self._decision = decision
        news = (decision.leap, decision.outvoted) != (before.leap, before.outvoted) if before else _notable(decision)
        level = Level.WARNING if decision.outvoted else Level.INFO
        return [Note(level, f"Leap second: {decision.reason}")] if news else []

    def announced(self, now: WallNs) -> Leap:
        """What answers and the kernel may be told."""
        return Leap.NONE if self._smear or self._decision is None else self._decision.announced(now)

    def pending(self, now: WallNs) -> float | None:
        """Seconds until a leap second is due; None where none is in sight."""
        if self._decision is None or self._decision.leap not in SHIFTS_NS:
            return None
        return seconds(self._due_at(self._decision) - now)

    def due_in(self, now: WallNs) -> float | None:
        """Seconds until something about a leap second changes: the event, its announcement, its smear."""
        moments: list[float] = []
        if (left := self.pending(now)) is not None:
            moments = [left, left - DAY, *([left - HALF_DAY] if self._smear else [])]
        if self._happened is not None and self._smear:
            moments.append(SMEARED - seconds(self._counted(now, self._happened) - self._happened.at))
        return min((each for each in moments if each > 0), default=None)

    def happen(self, now: WallNs) -> int:
        """The shift of the count in nanoseconds, once, when it is due; else 0."""
        left = self.pending(now)
        if left is None or left > 0:
            return 0
        assert self._decision is not None
        self._happened, self._decision = self._decision, None
        return SHIFTS_NS[self._happened.leap]

    def smeared(self, mapping: ClockMapping, host: HostNs) -> ClockMapping:
        """The mapping that answers apply, with the smear of a day around a leap second in it."""
        now = mapping.wall(host)
        if not self._smear or (leap := self._near(now)) is None:
            return mapping
        decision, count = leap
        lag, later = (
            smear_offset(WallNs(count + ahead), decision.at, SmearKind.LINEAR, decision.leap)
            for ahead in (0, NS_PER_SECOND)
        )
        return ClockMapping(
            base_ns=host,
            offset_ns=mapping.correction_ns(host) + (count - now) - nanoseconds(lag),
            rate=mapping.rate_at(host) - (later - lag),
        )

    def _near(self, now: WallNs) -> tuple[LeapDecision, WallNs] | None:
        """A leap less than half a day away, and now as it was counted before the leap."""
        if self._happened is not None:
            count = self._counted(now, self._happened)
            if seconds(count - self._happened.at) < SMEARED:
                return self._happened, count
        left = self.pending(now)
        if self._decision is not None and left is not None and left <= HALF_DAY:
            return self._decision, now
        return None

    @staticmethod
    def _counted(now: WallNs, happened: LeapDecision) -> WallNs:
        """Now as it would be counted without the leap."""
        return WallNs(now - SHIFTS_NS[happened.leap])

    @staticmethod
    def _due_at(decision: LeapDecision) -> WallNs:
        """An inserted second begins at midnight; a deleted one would have begun a second before it."""
        return WallNs(decision.at - NS_PER_SECOND) if decision.leap is Leap.DELETE else decision.at


def _notable(decision: LeapDecision) -> bool:
    return decision.leap is not Leap.NONE or bool(decision.outvoted)
