"""Which edges of a line are pulses: those that continue a train of the expected rate, and no others."""

import math
from collections import deque
from collections.abc import Mapping
from itertools import islice, pairwise
from statistics import median, median_low
from typing import NamedTuple

from ntp_usg.core.base.instants import RawNs, seconds
from ntp_usg.core.base.verdicts import Reason

MEMORY = 15
"""An edge is compared with the edges of so many periods before it."""
NEAR, NEAR_SHARE = 25e-3, 1 / 8
"""Seconds, and share of the period: an edge that is farther from where the train expects it is not a pulse."""
EXACT = 5e-5
"""Seconds: a pulse that is nearer than this to its place proves no more."""
SURE = 18.0
"""Natural logarithm of how much likelier a train must be than random edges: by chance once in 65 million times."""
RIVAL = SURE / 2
"""What is half as sure is not a pulse yet, but may be one: while there are two trains in a period, neither is one."""
MISSING = 0.5
"""This share of the pulses may be missing. Where each second one is, the line has another rate."""
FASTEST = 600e-6
"""No host's clock is off by more, in seconds per second: pulses that run off faster have another rate."""
SCATTER = 0.08
"""Share of what is near: by so much stamps may scatter besides."""
DESCRIBED = 32
"""So many edges describe a line."""
EVEN = 0.04
"""Two edges in a period that are half of it apart, to this share of it, may be two pulses: nobody can tell."""
MOST_EDGES = 32
"""A line with more edges in one period has no pulses: it is not compared any further."""


class _Edge(NamedTuple):
    at: RawNs
    evidence: float


class PulseTrain:
    """Compares each edge with those before it.

    The evidence of an edge is a sequential probability ratio test: an edge that came a period earlier, or two, or
    three, counts for a train by how seldom one comes so near by chance, at the rate of the edges that are seen.
    """

    def __init__(self, period: float) -> None:
        """`period` is in seconds."""
        self._period = period
        self._near = min(NEAR, NEAR_SHARE * period)
        self._edges: deque[_Edge] = deque(maxlen=MOST_EDGES * (MEMORY + 1))
        self._latest: deque[RawNs] = deque(maxlen=DESCRIBED)

    def add(self, at: RawNs) -> Reason | None:
        """Take in an edge: None for a pulse, else why the edge is not one."""
        while self._edges and seconds(at - self._edges[0].at) > (MEMORY + 0.5) * self._period:
            self._edges.popleft()
        latest = list(islice(reversed(self._edges), MOST_EDGES))
        crowded = len(latest) == MOST_EDGES and seconds(at - latest[-1].at) < self._period
        edge = _Edge(at, 0.0 if crowded else self._evidence(at))
        rivals = [each for each in latest if each.evidence >= RIVAL and self._is_between(seconds(at - each.at))]
        self._edges.append(edge)
        self._latest.append(at)
        if edge.evidence < SURE or len(rivals) > 1:
            return Reason.IRREGULAR
        return self._side(seconds(at - rivals[0].at) / self._period) if rivals else None

    def clear(self) -> None:
        """Forget all edges: the timeline was broken."""
        self._edges.clear()
        self._latest.clear()

    def describe(self) -> str:
        """What the line shows, in words: `5 pulses a second`, `edges 1.04 s apart`."""
        gaps = [seconds(later - earlier) for earlier, later in pairwise(self._latest)]
        if len(gaps) < 2:
            return "too few edges to see a rate"
        usual = median(gaps)
        if sum(abs(gap - usual) < EVEN * usual for gap in gaps) < 0.8 * len(gaps):
            return f"{len(gaps) / sum(gaps):.2g} edges a second at irregular times"
        return describe_interval(usual)

    def _is_between(self, ago: float) -> bool:
        """Whether an edge so many seconds ago came between this one and the place of the pulse before."""
        return self._near < ago < self._period - self._near

    def _side(self, share: float) -> Reason | None:
        """Both ends of a pulse come; `share` of a period after the other one. The shorter part of it is the pulse."""
        if abs(share - 0.5) < EVEN:
            return Reason.IRREGULAR
        return None if share > 0.5 else Reason.DOUBLED

    def _evidence(self, at: RawNs) -> float:
        """How much likelier it is that this edge continues a train than that it came by chance: a logarithm."""
        if not self._edges:
            return 0.0
        density = len(self._edges) / max(seconds(at - self._edges[0].at), self._period)
        scales = math.log(self._near / EXACT)
        evidence, missed = 0.0, math.log(1 - MISSING) + 2 * density * self._near
        distances = self._distances(at)
        if self._is_another_rate(distances):
            return 0.0
        for number in range(1, 1 + round(seconds(at - self._edges[0].at) / self._period)):
            distance = distances.get(number)
            if distance is None:
                evidence += missed
            else:
                evidence += math.log(MISSING / (2 * density * max(abs(distance), EXACT) * scales))
        return evidence

    def _is_another_rate(self, distances: Mapping[int, float]) -> bool:
        """Whether most pulses are missing, or all of them run off from their places."""
        if not distances:
            return False
        step = median_low(later - earlier for earlier, later in pairwise([0, *sorted(distances)]))
        farthest = max(distances)
        possible = FASTEST * farthest * self._period + SCATTER * self._near
        return step > 1 or (farthest > MEMORY // 2 and abs(distances[farthest]) > possible)

    def _distances(self, at: RawNs) -> dict[int, float]:
        """Seconds by which the nearest edge that may be the pulse of so many periods ago came before its place."""
        found: dict[int, float] = {}
        for each in self._edges:
            ago = seconds(at - each.at)
            number = round(ago / self._period)
            distance = ago - number * self._period
            if number and abs(distance) <= self._near:
                found[number] = min(distance, found.get(number, distance), key=abs)
        return found


def describe_rate(rate: int) -> str:
    """`1 pulse a second`, `5 pulses a second`."""
    return f"{rate} pulse{'' if rate == 1 else 's'} a second"


def describe_interval(interval: float) -> str:
    """The same for pulses so many seconds apart, where that is a whole rate; else `pulses 1.04 s apart`."""
    rate = round(1 / interval)
    if rate and abs(rate * interval - 1) < FASTEST:
        return describe_rate(rate)
    return f"pulses {interval:.4g} s apart"
