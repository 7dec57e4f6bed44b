"""What `[log] level = "debug"` adds: how each sample ended, whom we asked, and what selection made of it."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from ntp_usg.core.base.instants import MonoNs, nanoseconds
from ntp_usg.core.base.snapshots import SourceSnapshot, SystemSnapshot
from ntp_usg.observe.units import format_interval

log = logging.getLogger(__name__)

INTERVAL_NS = nanoseconds(1.0)
"""From one look to the next: more than a line a second for each source would help nobody."""


class ProgressLog:
    """Compares snapshots; a source without news has no line."""

    def __init__(self, snapshot: Callable[[], SystemSnapshot]) -> None:
        self._snapshot = snapshot
        self._due_at = MonoNs(0)
        self._verdicts: dict[str, Mapping[str, int]] = {}
        self._tallies: dict[str, str] = {}
        self._asked: Counter[str] = Counter()

    def asked(self, name: str) -> None:
        """A request was sent to a server."""
        self._asked[name] += 1

    def look(self, now: MonoNs) -> None:
        """Write what has happened since the last look, at most once a second, and only where debug lines are wanted."""
        if now < self._due_at or not log.isEnabledFor(logging.DEBUG):
            return
        self._due_at = MonoNs(now + INTERVAL_NS)
        for source in self._snapshot().sources:
            if news := "; ".join(self._news(source)):
                log.debug("%s: %s", source.name, news)

    def _news(self, source: SourceSnapshot) -> Iterator[str]:
        if number := self._asked.pop(source.name, 0):
            yield f"asked{f' {number} times' if number > 1 else ''}, poll {format_interval(source.poll_interval)}"
        before, self._verdicts[source.name] = self._verdicts.get(source.name, {}), source.verdicts
        counts = {key: count - before.get(key, 0) for key, count in source.verdicts.items()}
        if verdicts := ", ".join(f"{count} {key}" for key, count in counts.items() if count):
            yield f"{verdicts}, offset {format_interval(source.offset, sign='+')}"
        tally = source.tally.name.lower()
        if self._tallies.get(source.name) != tally:
            yield f"selection: {tally}. {source.reason}"
        self._tallies[source.name] = tally
