"""When a clock that runs by itself must say that it is unsynchronised: a promise of the operator, or a bound."""

from dataclasses import dataclass
from typing import Protocol

from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.algorithms.steadiness import LEAST
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.engine.settings import EngineSettings

OWN_BUDGET = 0.01
"""Seconds, for a host with a clock of its own that says nothing else."""


class HoldoverLimit(Protocol):
    """What ends holdover; `reason` completes "unsynchronised when ..."."""

    @property
    def reason(self) -> str: ...

    @property
    def margin(self) -> float:
        """How much faster than the forecast says the bound grows, in seconds per second."""

    def is_reached(self, grown: float, bound: float) -> bool:
        """Whether holdover ends: the forecast's growth since the last correction, and the whole bound, in seconds."""

    def left(self, model: HoldoverModel, raw: RawNs, before: float, bound: float) -> float:
        """Seconds until then, as things look now; the bound at the last correction, and what it is now."""


@dataclass(frozen=True, slots=True)
class Budget:
    """The forecast may grow by so many seconds: the promise of a server with a clock of its own."""

    seconds: float

    @property
    def reason(self) -> str:
        return f"the holdover budget of {self.seconds * 1e3:g}ms is spent"

    @property
    def margin(self) -> float:
        return 0.0  # the operator relies on the forecast

    def is_reached(self, grown: float, bound: float) -> bool:  # noqa: ARG002 - a promise of growth
        return grown > self.seconds

    def left(self, model: HoldoverModel, raw: RawNs, before: float, bound: float) -> float:  # noqa: ARG002 - likewise
        return model.budget_left(self.seconds, raw)


@dataclass(frozen=True, slots=True)
class Distance:
    """The bound may be so many seconds: nobody would follow a server farther from the truth than that."""

    seconds: float
    least_dispersion: float
    """The bound never grows by less, in seconds per second."""

    @property
    def reason(self) -> str:
        return f"the error may be more than {self.seconds:g}s (selection.max_distance)"

    @property
    def margin(self) -> float:
        return LEAST  # as with a steady clock between two samples

    def is_reached(self, grown: float, bound: float) -> bool:  # noqa: ARG002 - the bound has that in it
        return bound > self.seconds

    def left(self, model: HoldoverModel, raw: RawNs, before: float, bound: float) -> float:
        forecast = model.budget_left(max(0.0, self.seconds - before), raw, self.margin)
        return min(forecast, max(0.0, self.seconds - bound) / max(self.least_dispersion, self.margin))


def holdover_limit(settings: EngineSettings) -> HoldoverLimit:
    """The budget that was set, or that of a host with a clock of its own; a client of servers has the distance."""
    budget = settings.holdover_budget
    if budget is None and (settings.receivers or settings.pulse_lines or settings.clocks):
        budget = OWN_BUDGET
    if budget is None:
        return Distance(settings.selection.max_distance, settings.least_dispersion)
    return Budget(budget)
