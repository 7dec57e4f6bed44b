"""Doubts that take more than one source to see: against the majority of the servers, and against the clock itself."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.intersection import Interval, find_agreement
from ntp_usg.core.algorithms.selection import Candidate
from ntp_usg.core.algorithms.witness import Departure
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs, seconds

LASTING = 30.0
"""Seconds that a source must contradict the servers: a route may change, and a clock be about to follow."""
FEWEST = 2
"""A single server that disagrees is one word against another."""
FADING = 86_400.0
"""Seconds in which what was never explained is forgotten; until then it may have been before that it was right."""
RATE_TOLERANCE = 0.2e-6
"""A frequency that is no nearer to the clock's own, in seconds per second, is still the one that gave rise to doubt."""


@dataclass(frozen=True, slots=True)
class Belief:
    """What the clock holds to be true, and how closely: seconds, and seconds per second."""

    bound: float
    rate: float
    rate_bound: float


def majority_of(servers: Iterable[Candidate]) -> Interval | None:
    """Where most of the servers that answer put the truth, by their offsets from the served time."""
    intervals = [each.interval for each in servers if each.reachable and math.isfinite(each.distance)]
    agreement = find_agreement(intervals)
    return agreement.hull if agreement.votes >= max(FEWEST, agreement.needed) else None


class CrossCheck:
    """What others have against one source."""

    def __init__(self) -> None:
        self._disagrees_since: MonoNs | None = None
        self._departure: Departure | None = None
        self._news: Departure | None = None
        self._unexplained = 0.0
        self._returned_at = MonoNs(0)

    @property
    def contested(self) -> bool:
        """Whether nobody can tell if it was the source whose frequency changed, or the host's oscillator."""
        return self._departure is not None and self._departure.doubt is Doubt.FREQUENCY_JUMP

    def depart(self, departure: Departure) -> None:
        """The source has left its line; a jump while it runs off changes nothing."""
        if not self.contested or departure.doubt is Doubt.FREQUENCY_JUMP:
            self._departure = departure
        self._news = departure

    def departed(self) -> Departure | None:
        """The departure that nobody has asked after yet, once."""
        news, self._news = self._news, None
        return news

    def unexplained(self, now: MonoNs) -> float:
        """Seconds between where the clock was and where the source went: one of the two was wrong by so much."""
        return self._unexplained * max(0.0, 1 - seconds(now - self._returned_at) / FADING)

    def hold_against(
        self, source: Candidate, estimate: Estimate | None, majority: Interval | None, clock: Belief, now: MonoNs
    ) -> Sequence[Trouble]:
        """The doubts that stand; `source` and `majority` are relative to the served time, as the clock is."""
        disagreement = self._disagreement(source, majority, now)
        if self._departure is None:
            return disagreement
        if source.reachable and estimate and self._is_explained(source, estimate, clock):
            self._unexplained, self._returned_at = max(self.unexplained(now), abs(source.offset)), now
            self._departure = None
            return disagreement
        return [*disagreement, Trouble(self._departure.doubt, f"{self._departure}", severe=True)]

    def _disagreement(self, source: Candidate, majority: Interval | None, now: MonoNs) -> list[Trouble]:
        if majority is None or not source.reachable or source.trust or source.interval.meets(majority):
            self._disagrees_since = None
            return []
        if self._disagrees_since is None:
            self._disagrees_since = now
        if seconds(now - self._disagrees_since) < LASTING:
            return []
        apart = source.offset - majority.middle
        return [Trouble(Doubt.DISAGREEMENT, f"the servers say that it is off by {apart:+.3g} s", severe=True)]

    def _is_explained(self, source: Candidate, estimate: Estimate, clock: Belief) -> bool:
        """The clock may be off by so much itself by now, or has come to agree: nothing contradicts any more."""
        if math.isinf(clock.bound):
            return True
        near = abs(source.offset) <= clock.bound + source.distance
        apart = abs(estimate.rate - clock.rate) + estimate.rate_deviation
        return near and (not self.contested or apart <= RATE_TOLERANCE + clock.rate_bound)
