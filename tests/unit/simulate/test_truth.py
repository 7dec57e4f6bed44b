"""True time and the host's clock can be had from each other."""

import time

import pytest

from ntp_usg.core.base.instants import HostNs, WallNs
from ntp_usg.simulate.truth import Truth

EPOCH = HostNs(1_771_243_200_000_000_000)
SECOND = 10**9
DAY = 86_400 * SECOND


def test_truth_is_ahead_by_its_offset_at_its_epoch():
    assert Truth(EPOCH, offset=1.5).true_time(EPOCH) == EPOCH + 1_500_000_000


def test_truth_gains_its_drift_from_then_on():
    truth = Truth(EPOCH, offset=-0.25, drift_ppm=12)
    assert truth.true_time(HostNs(EPOCH + 10**9)) - truth.true_time(EPOCH) == 10**9 + 12_000


@pytest.mark.parametrize("drift_ppm", [0, 12, -12, 500, -0.001])
def test_the_inverse_is_exact_to_the_nanosecond(drift_ppm):
    truth = Truth(EPOCH, drift_ppm=drift_ppm)
    for host in (HostNs(EPOCH + elapsed) for elapsed in (-DAY, -1, 0, 1, 123_456_789, DAY, 1000 * DAY + 7)):
        assert abs(truth.reading(truth.true_time(host)) - host) <= 1
        assert abs(truth.true_time(truth.reading(WallNs(host))) - host) <= 1


@pytest.mark.parametrize("clock", [time.CLOCK_REALTIME, time.CLOCK_MONOTONIC_RAW])
def test_it_is_now_what_its_clock_says(clock):
    truth = Truth(time.clock_gettime_ns(clock), offset=100.0, clock=clock)
    before = time.clock_gettime_ns(clock)
    assert before <= truth.now() - 100 * SECOND <= time.clock_gettime_ns(clock) + SECOND // 10


@pytest.mark.parametrize("clock", [time.CLOCK_REALTIME, time.CLOCK_MONOTONIC_RAW])
def test_a_stamp_is_what_the_wall_clock_showed(clock):
    truth = Truth(time.clock_gettime_ns(clock), offset=100.0, clock=clock)
    before = time.time_ns()
    assert before - SECOND // 10 <= truth.stamp(truth.now()) <= time.time_ns() + SECOND // 10
