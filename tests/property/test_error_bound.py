"""Over any sequence of events the bound that answers state never becomes smaller, unless a sample came."""

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.base.actions import Action, Steer
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, nanoseconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.engine.settings import EngineSettings
from ntp_usg.core.engine.steering import Lead, Steering

START = 1_800_000_000 * 10**9

intervals = st.floats(1e-7, 0.1)
estimates = st.builds(
    Estimate,
    offset_ns=st.integers(-(10**8), 10**8),
    rate=st.floats(-600e-6, 600e-6),
    deviation=intervals,
    jitter=st.just(1e-6),
    rate_deviation=st.floats(1e-10, 30e-6),
)
leads = st.builds(Lead, estimates, intervals, intervals, st.integers(0, 14), st.just(b"TEST"))
between_samples = st.one_of(
    st.tuples(st.just("alone"), st.sampled_from(["", "reserve"]), st.floats(0, 1e-3) | st.just(0.0)),
    st.tuples(st.just("somebody leads")),
    st.tuples(st.just("contradict"), st.floats(0, 1.0)),
    st.tuples(st.just("temperature"), st.none() | st.floats(-20, 80)),
    st.tuples(st.just("leap"), st.sampled_from([-1, 1])),
    st.tuples(st.just("retract"), st.integers(1, 10_000)),
)
samples = st.tuples(st.just("sample"), leads)
steps = st.tuples(st.floats(0.001, 20_000), st.one_of(samples, between_samples))


@dataclass
class Bench:
    """A clock that is steered, and what its answers state."""

    steering: Steering
    mapping: ClockMapping = field(default_factory=ClockMapping)
    now: MonoNs = MonoNs(10**9)

    @property
    def raw(self) -> RawNs:
        return RawNs(START + self.now)

    def stated(self) -> ServingState:
        return self.steering.serving(self.mapping, Leap.NONE, HostNs(self.raw), self.now)

    def happen(self, event: tuple[Any, ...]) -> None:
        actions: list[Action] = []
        match event:
            case "sample", lead:
                actions = self.steering.correct(lead, self.raw, self.mapping, self.now)
            case "alone", reserve, contested:
                actions = self.steering.review(self.raw, self.mapping, self.now, "Lost.", contested, reserve or None)
            case ("somebody leads",):
                actions = self.steering.review(self.raw, self.mapping, self.now, None)
            case "contradict", error:
                self.steering.contradict(error, self.now)
            case "temperature", celsius:
                self.steering.temperature = celsius
            case "leap", second:
                self.steering.shift(second * 10**9)
                self.mapping = replace(self.mapping, offset_ns=self.mapping.offset_ns + second * 10**9)
            case "retract", age:
                self.steering.retract(RawNs(self.raw - age * 10**9), self.now)
        for action in actions:
            if isinstance(action, Steer):
                self.mapping = action.mapping


def bound(state: ServingState, now: MonoNs) -> float:
    return state.root_delay / 2 + state.root_dispersion_at(now)


@settings(max_examples=60, deadline=None)
@given(first=leads, events=st.lists(steps, max_size=30), budget=st.sampled_from([1e-4, 1e-2, 10.0]))
def test_a_bound_never_falls_without_a_measurement(first, events, budget):
    bench = Bench(Steering(EngineSettings(holdover_budget=budget), HoldoverModel()))
    bench.happen(("sample", first))
    for elapsed, event in events:
        before = bench.stated()
        bench.now = MonoNs(bench.now + nanoseconds(elapsed))
        bench.happen(event)
        after = bench.stated()
        assert after.dispersion_rate >= 0
        if event[0] != "sample" and before.synchronised:
            assert bound(after, bench.now) >= bound(before, bench.now) * (1 - 1e-12), event


@settings(max_examples=40, deadline=None)
@given(lead=leads, unnoticed=st.floats(1, 20_000), alone=st.lists(st.floats(1, 3000), max_size=8))
def test_holdover_is_counted_from_the_last_sample_however_late_the_loss_is_noticed(lead, unnoticed, alone):
    """What the oscillator may have done since then belongs to the bound."""
    bench = Bench(Steering(EngineSettings(holdover_budget=10.0), HoldoverModel()))
    bench.happen(("sample", lead))
    model, began = HoldoverModel(), bench.raw
    model.begin(began, lead.estimate)
    for elapsed in [unnoticed, *alone, 8.0]:
        bench.now = MonoNs(bench.now + nanoseconds(elapsed))
        bench.happen(("alone", "", 0.0))
    grown = 3 * (model.predict(bench.raw).deviation - lead.estimate.deviation)
    if bench.stated().synchronised:
        assert bound(bench.stated(), bench.now) >= lead.root_dispersion + lead.root_delay / 2 + grown * (1 - 1e-9)


@settings(max_examples=20, deadline=None)
@given(lead=leads, alone=st.lists(st.floats(1, 3000), min_size=3, max_size=8))
def test_the_least_growth_that_the_operator_wants_holds_in_holdover_as_well(lead, alone):
    bench = Bench(Steering(EngineSettings(holdover_budget=10.0, least_dispersion=15e-6), HoldoverModel()))
    bench.happen(("sample", lead))
    began = bench.now
    for elapsed in alone:
        bench.now = MonoNs(bench.now + nanoseconds(elapsed))
        bench.happen(("alone", "", 0.0))
    if bench.stated().synchronised:
        grown = 15e-6 * (bench.now - began) * 1e-9
        assert bound(bench.stated(), bench.now) >= lead.root_dispersion + lead.root_delay / 2 + grown * (1 - 1e-9)
