"""A fault of ours in the work for one source takes that source out, and nobody else."""

import random

import pytest

from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.base.actions import Action, SourceFault, Steer
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, nanoseconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import Measurement, Reception
from ntp_usg.core.base.snapshots import SourceSnapshot
from ntp_usg.core.engine.containment import FIRST_PAUSE
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import ClockSettings, EngineSettings
from ntp_usg.core.engine.whole_clock import WholeClock

GOOD = ClockSettings(name="PHC(0)", driver="phc", device="/dev/ptp0", reference_id=b"PHC", timeout=5, accuracy=1e-3)
BAD = ClockSettings(name="SHM(0)", driver="shm", device="memory", reference_id=b"SHM", timeout=5, accuracy=1e-3)
START = 1_790_000_000 * NS_PER_SECOND


class HostClock:
    """Right in its rate."""

    name = "virtual"

    def __init__(self) -> None:
        self.now = START
        self.mapping = ClockMapping()

    def read(self) -> tuple[HostNs, MonoNs]:
        return HostNs(self.now), MonoNs(self.now)

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self.mapping

    def serving(self) -> ClockMapping:
        return self.mapping


class Bench:
    """Two clocks that are half a second ahead of the host's, one of which we fail to work for."""

    def __init__(self) -> None:
        self.clock = HostClock()
        settings = EngineSettings(clocks=(GOOD, BAD))
        self.engine = Engine(settings, self.clock, random.Random(1).getrandbits)
        self.faults: list[SourceFault] = []

    def run(self, duration: float) -> None:
        for _ in range(int(duration)):
            self.clock.now += NS_PER_SECOND
            while self.engine.deadline() <= self.clock.now:
                self.perform(self.engine.timer())
            for name in ("PHC(0)", "SHM(0)"):
                reading = Measurement(HostNs(self.clock.now), nanoseconds(0.5), 1e-6)
                self.perform(self.engine.sample(name, reading))

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Steer):
                self.clock.mapping = action.mapping
            elif isinstance(action, SourceFault):
                self.faults.append(action)

    def source(self, name: str) -> SourceSnapshot:
        return next(each for each in self.engine.snapshot().sources if each.name == name)


def fail_for(monkeypatch, kind: type, method: str, wanted=lambda self: self.settings.name == "SHM(0)") -> None:
    usual = getattr(kind, method)

    def failing(self, *args, **kwargs):
        if wanted(self):
            raise ZeroDivisionError("a fault of ours")
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(kind, method, failing)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.run(30)
    assert bench.engine.serving().synchronised
    return bench


@pytest.mark.fault(
    group="Service",
    kind="The program fails while it works for one source (an exception in a driver, a parser or a filter).",
    noticed="The source is left alone for a while and the log has the traceback once; `status` says why.",
    served="The other sources are still followed; the source begins again after 10 s, then after growing pauses.",
)
@pytest.mark.parametrize("method", ["measurement", "review", "candidate", "poll", "snapshot", "estimate"])
def test_a_fault_in_the_work_for_one_source_takes_out_that_source_alone(bench, monkeypatch, method):
    fail_for(monkeypatch, WholeClock, method)
    bench.engine.snapshot()
    bench.run(8)
    assert {fault.source for fault in bench.faults} == {"SHM(0)"}
    assert bench.engine.serving().synchronised
    assert bench.engine.snapshot().selected == "PHC(0)"
    if method != "snapshot":
        assert "This program failed" in bench.source("SHM(0)").reason


def test_a_fault_in_an_input_that_asks_for_no_action_is_told_too(bench, monkeypatch):
    fail_for(monkeypatch, WholeClock, "reception")
    bench.engine.reception("SHM(0)", Reception(()))
    bench.run(2)
    assert [fault.source for fault in bench.faults] == ["SHM(0)"]


def test_what_comes_for_a_source_that_is_out_is_counted_and_looked_at_no_further(bench, monkeypatch):
    fail_for(monkeypatch, WholeClock, "measurement")
    counted = bench.source("SHM(0)").verdicts["accepted/used"]
    bench.run(6)
    assert len(bench.faults) == 1
    verdicts = bench.source("SHM(0)").verdicts
    assert verdicts["accepted/used"] == counted  # what was counted before the fault stays
    assert verdicts["rejected/program_fault"] == 6


def test_a_source_whose_fault_is_over_is_used_again(bench, monkeypatch):
    with monkeypatch.context() as patch:
        fail_for(patch, WholeClock, "review")
        bench.run(3)
        assert not bench.source("SHM(0)").healthy
    bench.run(FIRST_PAUSE + 10)
    assert bench.source("SHM(0)").healthy


def test_each_fault_doubles_the_pause(bench, monkeypatch):
    fail_for(monkeypatch, WholeClock, "measurement")
    bench.run(60)
    assert [fault.pause for fault in bench.faults] == [10.0, 20.0, 40.0]


def test_a_filter_that_fails_is_replaced_by_a_new_one(bench, monkeypatch):
    damaged = bench.engine._clocks["SHM(0)"].estimator
    fail_for(monkeypatch, KalmanEstimator, "add", lambda self: self is damaged)
    bench.run(3)
    assert [fault.source for fault in bench.faults] == ["SHM(0)"]
    assert bench.engine._clocks["SHM(0)"].estimator is not damaged
    bench.run(FIRST_PAUSE + 10)
    assert bench.source("SHM(0)").healthy
