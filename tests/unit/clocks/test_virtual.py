"""The virtual clock changes what is served and nothing else."""

import time

from ntp_usg.clocks.virtual import VirtualClock
from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.mapping import IDENTITY, ClockMapping


def test_it_reads_both_host_clocks_at_one_instant():
    before = time.time_ns() - time.monotonic_ns()
    host, mono = VirtualClock().read()
    after = time.time_ns() - time.monotonic_ns()
    assert abs((host - mono) - (before + after) // 2) < 1_000_000


def test_until_it_is_steered_it_serves_the_host_time():
    assert VirtualClock().serving() is IDENTITY


def test_who_is_served_gets_the_mapping_and_samples_stay_raw():
    clock = VirtualClock()
    mapping = ClockMapping(base_ns=1000, offset_ns=1_500_000_000, rate=12e-6)
    clock.steer(mapping, step=True)
    assert clock.serving() == clock.current() == mapping
    assert clock.raw(HostNs(5000)) == 5000


def test_who_is_served_does_not_wait_for_a_slew():
    clock = VirtualClock()
    clock.steer(ClockMapping(base_ns=1000, offset_ns=50_000, rate=12e-6, slew_rate=1e-4, slew_ns=10**9), step=False)
    assert clock.current().correction_ns(1000) == 50_000
    assert clock.serving().correction_ns(1000) == 150_000
    ended = 1000 + 10**9
    assert clock.serving().correction_ns(ended) == clock.current().correction_ns(ended)


def test_a_slew_needs_no_timer():
    clock = VirtualClock()
    mapping = ClockMapping(slew_rate=1e-4, slew_ns=10**9)
    clock.steer(mapping, step=False)
    clock.timer(MonoNs(10**12))
    assert clock.deadline() is None
    assert clock.current() == mapping
