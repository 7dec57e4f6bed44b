"""When to look at a line that can only be looked at, so that a pulse is caught between two looks close together."""

from collections import deque
from dataclasses import dataclass
from statistics import median

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, nanoseconds, seconds


@dataclass(frozen=True, slots=True)
class Watch:
    """Look from `begin` until the edge or `end`, with `pause` seconds between two looks; 0 = without a pause."""

    begin: MonoNs
    end: MonoNs
    pause: float


@dataclass(frozen=True, slots=True)
class Bracket:
    """An edge came between the begin of the last look that saw the old level and the end of the first one after it."""

    earliest: MonoNs
    latest: MonoNs

    @property
    def centre(self) -> MonoNs:
        return MonoNs((self.earliest + self.latest) // 2)

    @property
    def half_width(self) -> float:
        """Seconds that the edge may be off from the centre."""
        return seconds(self.latest - self.earliest) / 2


class EdgeHunt:
    """Searches for a first edge at leisure, then looks closely around the time at which the next one is due."""

    SEARCH = 1.5
    """Seconds that one search lasts; longer than a second, so that a line with pulses shows one."""
    SEARCH_PAUSE = 1e-3
    COARSE = 5e-3
    """Seconds: a bracket of more than this to either side foretells nothing."""
    LEAD = 0.3e-3
    """Seconds by which whoever sleeps until a watch begins may be late."""
    DRIFT = 0.6e-3
    """Seconds that a second may be off by the host's clock: the kernel slews it by 500 ppm, a bad crystal adds 100."""
    PATIENCE = 4
    """So many seconds an edge is foretold from the last one; later the window would be too wide to look closely."""
    CONSPICUOUS = 4.0
    """A bracket so many times as wide as usual shows that this program was held up: it says little."""

    def __init__(self) -> None:
        self._last: Bracket | None = None
        self._usual: deque[float] = deque(maxlen=16)

    @property
    def half_width(self) -> float | None:
        """Seconds that an edge's stamp is usually off by at most; None before the first."""
        return median(self._usual) if self._usual else None

    @property
    def due(self) -> MonoNs | None:
        """When the edge after the last one is expected; None while one is searched for."""
        return None if self._last is None else MonoNs(self._last.centre + NS_PER_SECOND)

    def watch(self, now: MonoNs) -> Watch:
        """Where to look next; it never begins in the past."""
        if self._last is not None:
            ahead = max(1, (now - self._last.centre) // NS_PER_SECOND)
            for number in range(ahead, self.PATIENCE + 1):
                due = self._last.centre + number * NS_PER_SECOND
                margin = nanoseconds(self._last.half_width + self.LEAD + self.DRIFT * number)
                if due - margin >= now:
                    return Watch(MonoNs(due - margin), MonoNs(due + margin), 0.0)
            self._last = None
        return Watch(now, MonoNs(now + nanoseconds(self.SEARCH)), self.SEARCH_PAUSE)

    def found(self, bracket: Bracket) -> bool:
        """Take in an edge; whether it was caught closely enough to tell the time by."""
        if bracket.half_width > self.COARSE:
            return False
        searched, self._last = self._last is None, bracket
        if searched:
            return False
        usual = self.half_width
        self._usual.append(bracket.half_width)
        return usual is None or bracket.half_width <= self.CONSPICUOUS * usual
