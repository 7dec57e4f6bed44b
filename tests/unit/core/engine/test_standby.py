"""A clock that stands by (a real-time clock): it may begin, and has no say once others are heard."""

import random

import pytest

from ntp_usg.core.base.actions import Action, Steer
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, RawNs, nanoseconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.base.snapshots import SystemSnapshot
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import ClockSettings, EngineSettings

BATTERY_CLOCK = ClockSettings(
    name="RTC(0)", driver="rtc", device="/dev/rtc0", reference_id=b"RTC", stratum=9, timeout=5, accuracy=2, standby=True
)
CARD = ClockSettings(name="PHC(0)", driver="phc", device="/dev/ptp0", reference_id=b"PHC", timeout=5, accuracy=1e-6)


class HostClock:
    """Right in its rate."""

    name = "virtual"

    def __init__(self) -> None:
        self.now = 1_790_000_000 * NS_PER_SECOND
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
    """The engine, with clocks that are ahead of the host's by so many seconds; None = silent."""

    def __init__(self, **settings: float) -> None:
        self.clock = HostClock()
        engine_settings = EngineSettings(clocks=(BATTERY_CLOCK, CARD), **settings)  # type: ignore[arg-type]
        self.engine = Engine(engine_settings, self.clock, random.Random(1).getrandbits)

    def run(self, duration: int, **ahead: float | None) -> SystemSnapshot:
        for _ in range(duration):
            self.clock.now += NS_PER_SECOND
            while self.engine.deadline() <= self.clock.now:
                self.perform(self.engine.timer())
            for name, offset in (("RTC(0)", ahead.get("rtc")), ("PHC(0)", ahead.get("card"))):
                if offset is not None:
                    reading = Measurement(HostNs(self.clock.now), nanoseconds(offset), 1e-6)
                    self.perform(self.engine.sample(name, reading))
        return self.engine.snapshot()

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Steer):
                self.clock.mapping = action.mapping


def test_it_begins_while_nobody_else_is_heard():
    snapshot = Bench().run(30, rtc=100.0)
    assert (snapshot.selected, snapshot.serving.stratum) == ("RTC(0)", 10)


def test_below_stratum_1_clients_see_the_clocks_pseudo_address_as_reference():
    """RFC 5905: above stratum 1 the reference id is an address, so four letters would be read as one."""
    assert Bench().run(30, rtc=100.0).serving.reference_id == bytes([127, 127, 54, 0])
    assert Bench().run(30, card=0.5).serving.reference_id == b"PHC"
    assert Bench(stratum=5).run(30, card=0.5).serving.reference_id == bytes([127, 127, 53, 0])


def test_a_clock_that_comes_later_is_followed_although_the_battery_clock_is_far_off():
    bench = Bench()
    bench.run(30, rtc=100.0)
    snapshot = bench.run(30, rtc=100.0, card=0.5)
    assert (snapshot.selected, snapshot.serving.stratum) == ("PHC(0)", 1)
    assert snapshot.host_offset == pytest.approx(0.5, abs=1e-6)


def test_it_is_not_waited_for_and_outvotes_nobody():
    snapshot = Bench().run(30, rtc=100.0, card=0.5)
    assert snapshot.selected == "PHC(0)"


def test_when_the_others_fall_silent_what_was_learned_of_the_clock_goes_before_it():
    bench = Bench()
    bench.run(60, rtc=1.0, card=0.5)
    snapshot = bench.run(60, rtc=1.0)
    assert snapshot.selected is None
    assert snapshot.host_offset == pytest.approx(0.5, abs=1e-4)
    assert snapshot.serving.stratum == 1


def test_when_the_holdover_budget_is_spent_it_leads_again():
    bench = Bench(holdover_budget=1e-6)
    bench.run(60, rtc=0.5, card=0.5)
    snapshot = bench.run(60, rtc=0.5)
    assert (snapshot.selected, snapshot.serving.stratum) == ("RTC(0)", 10)
