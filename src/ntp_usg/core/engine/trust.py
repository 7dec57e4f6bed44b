"""How far a source may be believed: every doubt lowers its trust, and below a half it is only watched."""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from itertools import chain
from typing import NamedTuple

from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs, seconds
from ntp_usg.core.base.samples import Fix

ENOUGH = 0.5
"""With less trust a source neither leads, nor numbers pulses, nor votes."""
QUIET = 180.0
"""Seconds without a fault before a source that has lost its trust has it again."""
GONE = 60.0
"""Seconds until people hear that a doubt is over: one that comes and goes makes no more lines than that."""


class Weight(NamedTuple):
    """What trust is multiplied by."""

    mild: float
    severe: float


WEIGHTS: Mapping[Doubt, Weight] = {
    Doubt.ANTENNA: Weight(0.9, 0.6),
    Doubt.JAMMING: Weight(0.9, 0.6),
    Doubt.SPOOFING: Weight(0.7, 0.2),
    Doubt.GEOMETRY: Weight(0.8, 0.6),
    Doubt.SURVEY: Weight(0.9, 0.7),
    Doubt.MOVED: Weight(0.7, 0.4),
    Doubt.OSCILLATOR: Weight(0.8, 0.4),
    Doubt.FAULT: Weight(0.8, 0.4),
    Doubt.TIME_JUMP: Weight(0.7, 0.1),
    Doubt.FREQUENCY_JUMP: Weight(0.7, 0.2),
    Doubt.DISAGREEMENT: Weight(0.7, 0.2),
    Doubt.ROLLOVER: Weight(0.9, 0.4),
    Doubt.LATENCY: Weight(0.9, 0.6),
    Doubt.EDGE: Weight(0.9, 0.2),
}
OF_THE_SIGNAL = frozenset(
    {
        Doubt.ANTENNA,
        Doubt.JAMMING,
        Doubt.SPOOFING,
        Doubt.GEOMETRY,
        Doubt.SURVEY,
        Doubt.MOVED,
        Doubt.OSCILLATOR,
        Doubt.FAULT,
    }
)
"""What a receiver's pulses suffer from as its messages do; the others belong to one or the other."""
POOR_GEOMETRY = 8.0
"""A dilution of precision beyond which receivers' manuals speak of a poor fix, and then of a useless one."""
USELESS_GEOMETRY = 20.0


class Trust:
    """The doubts about one source, by who has them, and what follows from them."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._said: dict[str, tuple[Trouble, ...]] = {}
        self._noted: dict[Doubt, MonoNs] = {}
        self._quiet_since: MonoNs | None = None
        self._lost = False

    def report(self, witness: str, troubles: Iterable[Trouble]) -> None:
        """All that one witness has to say at present; it replaces what the same one said before."""
        self._said[witness] = tuple(troubles)

    def restore(self, witness: str) -> None:
        """One witness was wrong: there is no probation after what it said."""
        self._said.pop(witness, None)
        self._lost, self._quiet_since = False, None

    @property
    def doubts(self) -> tuple[Trouble, ...]:
        """The worst of each kind, in the order of the vocabulary."""
        worst: dict[Doubt, Trouble] = {}
        for trouble in chain.from_iterable(self._said.values()):
            if trouble.doubt not in worst or trouble.severe > worst[trouble.doubt].severe:
                worst[trouble.doubt] = trouble
        return tuple(worst[doubt] for doubt in Doubt if doubt in worst)

    def of(self, kinds: Set[Doubt]) -> tuple[Trouble, ...]:
        """The doubts of some kinds."""
        return tuple(trouble for trouble in self.doubts if trouble.doubt in kinds)

    @property
    def level(self) -> float:
        """From 0 to 1; below ENOUGH as long as a source is on probation."""
        level = weigh(self.doubts)
        return min(level, ENOUGH / 2) if self._lost and level >= ENOUGH else level

    @property
    def accused(self) -> bool:
        """Whether doubts weigh now, and not only lately."""
        return weigh(self.doubts) < ENOUGH

    @property
    def lost(self) -> bool:
        """Whether it may neither lead, nor number pulses again, nor vote."""
        return self._lost or self.accused

    def objection(self, now: MonoNs) -> str:
        """Why the source is not trusted, in words; empty where it is."""
        if not self.lost:
            return ""
        if self.accused:
            return f"Not trusted: {'; '.join(trouble.text for trouble in self.doubts)}."
        quiet = 0.0 if self._quiet_since is None else seconds(now - self._quiet_since)
        return f"Not trusted again yet: without a fault for {quiet:.0f} s, {QUIET:.0f} s are needed."

    def review(self, now: MonoNs) -> list[Action]:
        """Tell of doubts that come and go, and of trust that is lost and found again."""
        return [*self._changed_doubts(now), *self._changed_trust(now)]

    def _changed_doubts(self, now: MonoNs) -> Iterable[Note]:
        doubts = self.doubts
        for trouble in doubts:
            if trouble.doubt not in self._noted:
                yield Note(Level.WARNING, f"{self._name}: doubt: {trouble.text}. {trouble.doubt.explanation}")
            self._noted[trouble.doubt] = now
        over = [doubt for doubt, seen_at in self._noted.items() if seconds(now - seen_at) > GONE]
        for doubt in over:
            del self._noted[doubt]
            yield Note(Level.INFO, f"{self._name}: the doubt {doubt} has ended")

    def _changed_trust(self, now: MonoNs) -> Iterable[Note]:
        if self.accused:
            self._quiet_since = None
            if not self._lost:
                self._lost = True
                yield Note(Level.WARNING, f"{self._name}: {self.objection(now)}")
        elif self._lost:
            if self._quiet_since is None:
                self._quiet_since = now
            if seconds(now - self._quiet_since) >= QUIET:
                self._lost = False
                yield Note(Level.INFO, f"{self._name}: trusted again after {QUIET:.0f} s without a fault")


def weigh(doubts: Sequence[Trouble]) -> float:
    """What is left of trust."""
    return math.prod(WEIGHTS[each.doubt].severe if each.severe else WEIGHTS[each.doubt].mild for each in doubts)


def judge_geometry(fix: Fix) -> tuple[Trouble, ...]:
    """What the satellites' places in the sky do to the time; a receiver that knows its position needs only one."""
    if fix.dimensions == 1:
        return ()
    dilutions = [(name, value) for name in ("tdop", "pdop", "hdop") if (value := getattr(fix, name)) is not None]
    name, worst = max(dilutions, key=lambda each: each[1], default=("", 0.0))
    if worst > POOR_GEOMETRY:
        return (Trouble(Doubt.GEOMETRY, f"{name.upper()} {worst:.1f}", severe=worst > USELESS_GEOMETRY),)
    if fix.dimensions == 2:
        return (Trouble(Doubt.GEOMETRY, "2D fix, with an assumed height"),)
    return ()
