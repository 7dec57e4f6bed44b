"""A station does not move: one that says so was carried away, or hears forged signals."""

from collections import deque
from collections.abc import Iterable
from statistics import median

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs, seconds
from ntp_usg.core.base.samples import Position

SPACING = 10.0
"""Seconds between two positions that are kept."""
WINDOW = 60
"""So many make the place; a new one is believed when it has lasted as long."""
STEADY = 12
"""So many there must be before anything can move away from them."""
STRAYS = 5
"""So many positions in a row must be elsewhere."""
NEAREST_M = 100.0
SCATTERS = 10.0
"""It has moved when it is farther from the middle than both: receivers wander by metres, by tens behind walls."""


class PositionWatch:
    """Knows one receiver's place: the median of ten minutes."""

    def __init__(self) -> None:
        self._home: deque[Position] = deque(maxlen=WINDOW)
        self._elsewhere: deque[Position] = deque(maxlen=WINDOW)
        self._kept_at: MonoNs | None = None
        self._strays = 0
        self._middle = Position(0.0, 0.0)
        self._limit_m = NEAREST_M

    def see(self, position: Position, now: MonoNs) -> tuple[Trouble, ...]:
        """Take a position in; a trouble for as long as it is not where it was."""
        keep = self._kept_at is None or seconds(now - self._kept_at) >= SPACING
        self._kept_at = now if keep else self._kept_at
        distance_m = position.distance_m(self._middle) if len(self._home) >= STEADY else 0.0
        if distance_m <= self._limit_m:
            self._strays = 0
            self._elsewhere.clear()
            if keep:
                self._home.append(position)
                self._settle()
            return ()
        self._strays += 1
        if keep:
            self._elsewhere.append(position)
        if len(self._elsewhere) == WINDOW:
            self._home, self._elsewhere = self._elsewhere, self._home
            self._elsewhere.clear()
            self._settle()
            return ()
        if self._strays < STRAYS:
            return ()
        text = f"moved by {distance_m:.0f} m (if it may, say `mobile = true`)"
        return (Trouble(Doubt.MOVED, text, severe=True),)

    def _settle(self) -> None:
        self._middle = _middle(self._home)
        scatter_m = median(each.distance_m(self._middle) for each in self._home)
        self._limit_m = max(NEAREST_M, SCATTERS * scatter_m)


def _middle(positions: Iterable[Position]) -> Position:
    """By median, so that a few wild ones do not matter; longitudes are taken around the first, for those at 180."""
    places = list(positions)
    around = places[0].longitude_deg
    east = median((each.longitude_deg - around + 180) % 360 - 180 for each in places)
    return Position(
        median(each.latitude_deg for each in places), around + east, median(each.height_m for each in places)
    )
