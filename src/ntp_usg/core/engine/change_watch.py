"""Servers that contradict the clock: all others say at once what they see, and people hear what it was."""

from dataclasses import dataclass, field

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.base.actions import Level, Note
from ntp_usg.core.base.instants import MonoNs, RawNs, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.engine.network_source import NetworkSource
from ntp_usg.core.engine.roster import Roster

SETTLED_AFTER = 150.0
"""Seconds after the latest contradiction in which its cause becomes known."""
ASKING = 60.0
"""Seconds from the first contradiction in which all servers are asked again; until then no vote is the last word."""
LEARNING = 900.0
"""Seconds after the start in which contradictions show only that the frequency is not known yet."""
NOTABLE_CHANGE = 0.3e-6
"""A change of frequency by less is not worth a line ..."""
NOTABLE_SHARE = 0.5
"""... nor a movement of the time by less than this share of the error that samples showed: it was theirs ..."""
SURE = 5.0
"""... nor either, where it is not so many deviations."""


@dataclass(slots=True)
class _Contradiction:
    """One that goes on: by whom, how large, and what the clock was like before."""

    before: ClockMapping
    at: RawNs
    began_at: MonoNs
    latest_at: MonoNs
    servers: set[str] = field(default_factory=set)
    worst: float = 0.0

    def explain(self, served: ClockMapping, raw: RawNs, estimate: Estimate) -> list[Note]:
        """What has happened, by what is served now; nothing where the samples were wrong and all is as it was."""
        names = ", ".join(sorted(self.servers))
        change = served.rate - self.before.rate
        moved = seconds(served.correction_ns(raw) - self.before.correction_ns(raw)) - change * seconds(raw - self.at)
        if abs(change) > max(NOTABLE_CHANGE, SURE * estimate.rate_deviation):
            asked = f"{names} {'was' if len(self.servers) == 1 else 'were'} asked again at once"
            text = f"The clock's frequency changed by {-change * 1e6:+.1f} ppm: {asked}"
            return [Note(Level.INFO, f"{text}, error at most {self.worst * 1e3:.1f} ms")]
        if abs(moved) > max(NOTABLE_SHARE * self.worst, SURE * estimate.deviation):
            text = f"The time of {names} moved by {moved * 1e3:+.3f} ms, and no other source contradicts it"
            return [Note(Level.WARNING, f"{text}: the clock has followed")]
        return []


class ChangeWatch:
    """Hears each sample of a server, and what was served when it came."""

    def __init__(self, roster: Roster, now: MonoNs) -> None:
        self._servers = roster.servers
        self._containment = roster.containment
        self._since = now
        self._contradiction: _Contradiction | None = None

    def hear(self, server: NetworkSource, served: ClockMapping, raw: RawNs, now: MonoNs, *, counts: bool) -> list[Note]:
        """Call the others where one that `counts` contradicts the clock; after a while, say what it was."""
        if server.alarmed and counts:
            self._call_witnesses(server.settings.name, now)
            self._contradiction = self._contradiction or _Contradiction(served, raw, now, now)
            self._contradiction.servers.add(server.settings.name)
            self._contradiction.latest_at = now
        found, estimate = self._contradiction, server.estimate(raw)
        if found is None or estimate is None:
            return []
        if server.settings.name in found.servers:
            found.worst = max(found.worst, server.apart(served))
        if seconds(now - found.latest_at) < SETTLED_AFTER:
            return []
        self._contradiction = None
        return found.explain(served, raw, estimate) if seconds(found.latest_at - self._since) > LEARNING else []

    def _call_witnesses(self, name: str, now: MonoNs) -> None:
        for other in self._servers.keys() - {name}:
            with self._containment.of(other):
                self._servers[other].bear_witness(now)

    def asking(self, now: MonoNs) -> bool:
        """Whether servers that contradict the clock, or each other, are about to say more."""
        return self._contradiction is not None and seconds(now - self._contradiction.began_at) < ASKING

    def restart(self, now: MonoNs) -> None:
        """The timeline was broken: nothing can be compared with what was before."""
        self._contradiction, self._since = None, now
