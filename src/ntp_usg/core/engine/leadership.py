"""Who leads the clock: selection by RFC 5905, and who must wait or stand in although selection would have it otherwise.

The reasons for these rules are in docs/decisions/0005-who-may-lead.md.
"""

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.intersection import Interval
from ntp_usg.core.algorithms.selection import Candidate, Choice, Selection, SelectionSettings, combine, select
from ntp_usg.core.base.instants import MonoNs, RawNs, seconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.ports import Clock
from ntp_usg.core.base.snapshots import UNSYNCHRONISED_STRATUM, Tally
from ntp_usg.core.engine.cross_check import majority_of
from ntp_usg.core.engine.roster import Roster
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.steering import Lead, Steering

SETTLING = 8.0
"""Seconds that the first sources which could set the clock, at a start or when another program has set it, wait for the
votes of others that might contradict them: four more questions at the pace of a burst."""
PATIENCE = 60.0
"""Seconds after the start in which real sources are waited for before the served clock stands in for them, and others
before one server of three or more leads alone."""
LAST_STRATUM = UNSYNCHRONISED_STRATUM - 1
TRUECHIMERS = frozenset({Tally.PPS, Tally.SELECTED, Tally.CANDIDATE, Tally.OUTLIER})
UNJUDGED = Choice(Tally.REJECTED, "Stands by: it has no vote now.")


class Leadership:
    """Judges the sources again whenever one of them has news."""

    def __init__(
        self, roster: Roster, settings: SelectionSettings, clock: Clock, steering: Steering, now: MonoNs
    ) -> None:
        self._sources = sources = roster.all
        self._containment = roster.containment
        self._settings = settings
        self._clock = clock
        self._steering = steering
        self._selection = Selection({}, "No source has been heard yet.")
        self._fallbacks = {name for name, source in sources.items() if source.is_fallback}
        self._standbys = {name for name, source in sources.items() if _stands_by(source)}
        self._orphan_stratum = min((each.stratum + 1 for each in sources.values() if each.is_orphaned), default=None)
        self._started_at = now
        self._first_ready_at: MonoNs | None = None
        self._led_by: str | None = None
        self.reserve: str | None = None
        """A healthy source that will lead when the clock by itself is no longer known better than by this source."""
        self._suspended = ""
        self._servers = {name for name, source in sources.items() if source.is_server}
        self.majority: Interval | None = None
        """Where most of the servers put the truth, relative to the served time: None where they are no majority."""
        self.contested = 0.0
        """Seconds between the clock and sources whose frequency has changed, if it was not the oscillator's."""

    @property
    def system_peer(self) -> str | None:
        return self._selection.system_peer

    @property
    def leaders(self) -> Set[str]:
        """Names of the sources that are combined; empty where nobody leads."""
        return self._selection.weights.keys()

    @property
    def follows_messages(self) -> bool:
        """Whether the clock was set last by the messages of receivers alone."""
        return self._led_by is not None and self._sources[self._led_by].only_names_seconds

    def follows(self, name: str) -> bool:
        """Whether the clock is as this source says, or was until nobody led any more."""
        return name in self.leaders or (not self.leaders and name == self._led_by)

    def choice(self, name: str) -> Choice:
        """What became of a source, and why."""
        choice = self._selection.choices.get(name, UNJUDGED)
        if choice.tally is Tally.SELECTED and self._steering.served_stratum(self._sources[name].stratum) > LAST_STRATUM:
            text = f"Its stratum is {LAST_STRATUM}, the last: behind it we are unsynchronised. {choice.reason}"
            return Choice(choice.tally, text)
        return choice

    def truechimers(self) -> Iterable[Source]:
        """All that tell the truth, whether they lead or not."""
        return (source for name, source in self._sources.items() if self.choice(name).tally in TRUECHIMERS)

    def suspend(self, reason: str) -> None:
        """Let nobody lead from the next judgement on, for a reason in words; empty to let them again."""
        self._suspended = reason

    def judge(self, raw: RawNs, now: MonoNs) -> None:
        """Judge all sources as they are now."""
        served = self._clock.current()
        candidates = list(self._candidates(raw, now, served))
        self._examine(candidates, raw, now)
        trusts = ((each, self._sources[each.name].trust) for each in candidates)
        candidates = [replace(each, distrust=trust.objection(now)) if trust.lost else each for each, trust in trusts]
        voters = [each for each in candidates if each.name not in self._fallbacks and not self._orphan(each.name)]
        watched = [each for each in voters if each.name not in self._standbys]
        if any(each.reachable and not (each.noselect or each.distrust or each.pulse) for each in watched):
            voters = watched
        if self._fallbacks and self._lonely(voters, now):
            elders = [each for each in candidates if self._orphan(each.name) and self._sources[each.name].is_elder]
            anybody = [each for each in elders if each.reachable]
            voters = anybody or [each for each in candidates if each.name in self._fallbacks]
        selection = select(voters, self._selection.system_peer, self._settings)
        objection = self._suspended or self._awaited(selection, now)
        no_gain = "" if objection else self._no_gain(selection, now)
        self.reserve = self._in_reserve(selection) if no_gain else None
        objection = objection or no_gain
        self._selection = _held_back(selection, objection) if objection else selection

    def _candidates(self, raw: RawNs, now: MonoNs, served: ClockMapping) -> Iterator[Candidate]:
        for name in self._sources:
            with self._containment.of(name):
                yield self._sources[name].candidate(raw, now, served)

    def lead(self, raw: RawNs) -> Lead:
        """The sources that lead, as one; they lead from now on."""
        selection = self._selection
        assert selection.system_peer is not None
        self._led_by, self._first_ready_at = selection.system_peer, None
        peer = self._sources[selection.system_peer]
        served_stratum = self._steering.served_stratum(peer.stratum)
        return Lead(
            self._as_served(raw) if peer.is_fallback else combine(list(self._estimates(raw))),
            root_delay=peer.root_delay,
            root_dispersion=max(0.0, selection.distance - peer.root_delay / 2),
            stratum=peer.stratum,
            reference_id=peer.reference_id if served_stratum == 1 else peer.reference_address,
        )

    def loss(self, now: MonoNs) -> str | None:
        """Why no source leads, in words; None while one does."""
        if self._selection.system_peer is not None:
            return None
        if not self._sources:
            return "No source is configured."
        complaints = (
            f"{name}: {each.trust.objection(now) if each.healthy else each.reason(now)}"
            for name, each in self._sources.items()
            if not each.healthy or each.trust.lost
        )
        return " ".join([self._selection.reason, *(f"{each.rstrip('.')}." for each in complaints)])

    def _examine(self, candidates: Sequence[Candidate], raw: RawNs, now: MonoNs) -> None:
        """Hold each reference clock against the servers' majority, and against the clock itself where it left it."""
        self.majority = majority_of(each for each in candidates if each.name in self._servers)
        belief = self._steering.belief(now, self._clock.current())
        contested = [0.0]
        for each in candidates:
            if each.name in self._servers or each.name in self._fallbacks:
                continue
            with self._containment.of(each.name):
                source = self._sources[each.name]
                troubles = source.check.hold_against(each, source.estimate(raw), self.majority, belief, now)
                source.trust.report("others", troubles)
                if source.check.contested and math.isfinite(each.offset):
                    contested.append(abs(each.offset))
        self.contested = max(contested)

    def _estimates(self, raw: RawNs) -> Iterable[tuple[Estimate, float]]:
        for name, weight in self._selection.weights.items():
            estimate = self._sources[name].estimate(raw)
            assert estimate is not None, "a selected source has an estimate"
            yield estimate, weight

    def _as_served(self, raw: RawNs) -> Estimate:
        """What the served clock says of itself: that it is right. To estimate it would be to chase one's own shadow."""
        served = self._clock.current()
        return Estimate(served.correction_ns(raw), served.rate, deviation=0.0, jitter=0.0)

    def _orphan(self, name: str) -> bool:
        return self._orphan_stratum is not None and self._sources[name].is_orphan(self._orphan_stratum)

    def _lonely(self, others: Sequence[Candidate], now: MonoNs) -> bool:
        """Whether the served clock itself may stand in for a source: nobody else is there, or has been for long."""
        if not others and self._orphan_stratum is None:
            return True
        if seconds(now - self._started_at) < PATIENCE or any(each.reachable for each in others):
            return False
        alone = self._led_by is not None and (self._led_by in self._fallbacks or self._orphan(self._led_by))
        return alone or self._steering.error_bound(now) == math.inf

    def _no_gain(self, selection: Selection, now: MonoNs) -> str:
        """Why somebody new should not lead: the clock on its own is known better than by this source."""
        bound = self._steering.error_bound(now)
        if (
            selection.system_peer in (None, self._led_by)
            or selection.distance <= bound
            or self._steering.budget_spent
            or self._led_by in self._fallbacks
            or (self.majority is not None and not self.majority.meets(Interval(-bound, bound)))
        ):
            return ""
        return (
            f"The clock by itself is within {bound * 1e3:.3g} ms, "
            f"{selection.system_peer} only within {selection.distance * 1e3:.3g} ms."
        )

    def _in_reserve(self, selection: Selection) -> str | None:
        """Who will lead next; serial messages are no reserve for pulses, so that without these it is holdover."""
        peer = selection.system_peer
        return None if peer is None or self._sources[peer].only_names_seconds else peer

    def _awaited(self, selection: Selection, now: MonoNs) -> str:
        """Who must be heard before these may lead, in words; empty where nobody must."""
        leaders = selection.weights.keys()
        if not leaders:
            return ""
        awaited = []
        if self._led_by not in leaders and all(self._sources[name].only_names_seconds for name in leaders):
            awaited = [name for name, source in self._sources.items() if source.awaited(now)]
        if not self._steering.locked:
            self._first_ready_at = self._first_ready_at or now
            awaited += self._missing_votes(selection, seconds(now - self._first_ready_at))
        return f"Awaited: {', '.join(awaited)}." if awaited else ""

    def _missing_votes(self, selection: Selection, waited: float) -> list[str]:
        """Who could still outvote those who would set the clock; nobody where these would win against all.

        Reference clocks, and servers that have not been heard yet, count only where servers alone lead: what is wrong
        with pulses shows while no clock numbers them. A server alone that could be one of three or more waits longer:
        until those that have answered once were asked twice more.
        """
        only_servers = selection.weights.keys() <= self._servers
        possible = self._sources if only_servers else [name for name in self._servers if self._sources[name].reach]
        missing = [
            name
            for name in possible
            if name not in self._fallbacks | self._standbys and self._sources[name].about_to_vote
        ]
        tallies = [choice.tally for choice in selection.choices.values()]
        agreed = sum(tally in TRUECHIMERS for tally in tallies)
        servers = [self._sources[name] for name in self._servers.intersection(missing)]
        alone = only_servers and agreed == 1 and len(servers) > 1
        patience = max([PATIENCE, *(2 * each.poll_interval for each in servers if each.reach)]) if alone else SETTLING
        outvoted = agreed <= tallies.count(Tally.FALSETICKER) + len(missing)
        return missing if outvoted and waited < patience else []


def _held_back(selection: Selection, objection: str) -> Selection:
    """The same judgement, but nobody leads, and those that would have say why not."""
    waits = Choice(Tally.CANDIDATE, f"Agrees, but does not lead. {objection}")
    leading = (Tally.SELECTED, Tally.PPS)
    choices = {name: waits if each.tally in leading else each for name, each in selection.choices.items()}
    return Selection(choices, objection)


def _stands_by(source: Source) -> bool:
    return isinstance(source.settings, ClockSettings) and source.settings.standby
