"""Virtual time: a heap of events, and a journal of what people would have noticed."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from ntp_usg.core.base.actions import Level
from ntp_usg.core.base.instants import WallNs, nanoseconds

Event = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal: at a true instant, of one host."""

    at: WallNs
    host: str
    level: Level
    text: str


class World:
    """Runs events in the order of true time, which only it knows."""

    def __init__(self, start: WallNs) -> None:
        self.start = start
        self.now = start
        self.journal: list[Entry] = []
        self._events: list[tuple[WallNs, int, Event]] = []
        self._order = count()  # events of one instant happen as they were planned

    def at(self, instant: WallNs, event: Event) -> None:
        """Plan an event; what should have happened already happens next."""
        heapq.heappush(self._events, (max(instant, self.now), next(self._order), event))

    def after(self, delay: float, event: Event) -> None:
        """Plan an event, in so many seconds."""
        self.at(WallNs(self.now + nanoseconds(delay)), event)

    def note(self, host: str, level: Level, text: str) -> None:
        self.journal.append(Entry(self.now, host, level, text))

    def run(self, until: WallNs) -> None:
        """Let everything happen that is planned up to an instant, and be there."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, event = heapq.heappop(events)
            event()
        self.now = until
