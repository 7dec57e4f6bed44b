"""The formula that turns readings into served time."""

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.mapping import ClockMapping

SLEWING = ClockMapping(base_ns=1000 * 10**9, offset_ns=500, rate=10e-6, slew_rate=-100e-6, slew_ns=5 * 10**9)


def test_a_slew_ends_by_itself_and_leaves_the_rate():
    late = HostNs(1100 * 10**9)
    assert SLEWING.correction_ns(late) == 500 + 100 * 10_000 - 5 * 100_000
    assert SLEWING.rate_at(late) == 10e-6
    assert SLEWING.rate_at(HostNs(1002 * 10**9)) == 10e-6 - 100e-6


def test_before_its_base_a_mapping_does_not_slew():
    assert SLEWING.correction_ns(HostNs(999 * 10**9)) == 500 - 10_000


@given(st.integers(0, 2**62), st.integers(1, 10**9))
def test_served_time_never_runs_backwards_while_slewing(reading, elapsed):
    assert SLEWING.wall(HostNs(reading + elapsed)) > SLEWING.wall(HostNs(reading)) - 2
