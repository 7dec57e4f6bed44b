"""What all sources share."""

import pytest

from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.base.instants import MonoNs, RawNs
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.core.engine.whole_clock import CLOCK_NOISE, WholeClock


def source(filter_length: int) -> WholeClock:
    settings = ClockSettings(
        name="SHM(0)",
        driver="shm",
        device="shared memory",
        reference_id=b"SHM",
        timeout=10.0,
        accuracy=1e-3,
        filter_length=filter_length,
    )
    return WholeClock(settings, SampleHistory(CLOCK_NOISE), MonoNs(0))


def measure(clock: WholeClock, second: int, offset_ns: int) -> Reason:
    at = second * 10**9
    return clock.measure(Sample(RawNs(at), offset_ns, 1e-6), MonoNs(at))


def test_a_filter_makes_one_measurement_of_several_and_is_heard_all_the_time():
    clock = source(4)
    for second in range(32):
        # one of four is wild, and never reaches the estimator
        assert measure(clock, second, 10**9 if second % 4 == 2 else 5000) is Reason.USED
        assert not clock.silent(MonoNs(second * 10**9))
    assert len(clock.estimator) == 8
    estimate = clock.estimate(RawNs(32 * 10**9))
    assert estimate is not None
    assert estimate.offset_ns == pytest.approx(5000, abs=1)


def test_without_a_filter_each_measurement_counts():
    clock = source(1)
    for second in range(3):
        measure(clock, second, 5000)
    assert len(clock.estimator) == 3


def test_what_was_gathered_before_the_host_clock_was_moved_is_not_mixed_with_what_comes():
    clock = source(2)
    measure(clock, 0, 10**9)
    clock.renew()
    for second in (1, 2):
        measure(clock, second, 5000)
    assert clock.estimator.latest is not None
    assert clock.estimator.latest.offset_ns == 5000
