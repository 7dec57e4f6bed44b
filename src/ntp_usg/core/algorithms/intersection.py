"""Where the true time can be, if most sources are honest: the points that a majority of their intervals share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Interval(NamedTuple):
    """A closed interval of offsets in seconds."""

    low: float
    high: float

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    def meets(self, other: "Interval") -> bool:
        """Whether the two share at least a point."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a vote of intervals came to.

    If more than half of the voters are honest, so that their intervals hold the truth, one of the `regions` holds it:
    the truth itself is a point that a majority covers. There may be several, where wide intervals let two groups be a
    majority at once, and none, where no majority exists.
    """

    voters: int
    votes: int
    """The most voters that agree at any point."""
    regions: tuple[Interval, ...]
    """The best supported regions, in order; several only where they tie."""
    hull: Interval | None
    """From the lowest to the highest point that any majority covers."""

    @property
    def needed(self) -> int:
        return self.voters // 2 + 1


def find_agreement(intervals: Sequence[Interval]) -> Agreement:
    """Sweep once over the ends of the intervals (after Marzullo, and RFC 5905 section 11.2.1).

    Unlike the RFC's, this vote does not ask that the middles lie inside as well: an honest source behind an asymmetric
    path would be lost to it.
    """
    needed = len(intervals) // 2 + 1
    runs: list[tuple[int, Interval]] = []
    depth = votes = peak = 0
    low = 0.0
    for value, closing in _ends(intervals):
        if closing:
            if depth == needed:
                runs.append((peak, Interval(low, value)))
            depth -= 1
            continue
        depth += 1
        if depth == needed:
            low, peak = value, depth
        peak = max(peak, depth)
        votes = max(votes, depth)
    best = tuple(region for support, region in runs if support == votes)
    hull = Interval(runs[0][1].low, runs[-1][1].high) if runs else None
    return Agreement(len(intervals), votes, best, hull)


def _ends(intervals: Sequence[Interval]) -> list[tuple[float, bool]]:
    """Both ends of every interval in order; where one begins as another ends, they touch: the beginning comes first."""
    return sorted([(each.low, False) for each in intervals] + [(each.high, True) for each in intervals])
