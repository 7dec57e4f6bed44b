"""The kernel's clock only where it is allowed, and never by surprise."""

import pytest

from ntp_usg.clocks.choice import choose_clock
from ntp_usg.core.base.errors import ClockError


@pytest.mark.parametrize(
    ("kind", "allowed", "name"),
    [
        ("auto", True, "system"),
        ("auto", False, "virtual"),
        ("system", True, "system"),
        ("virtual", True, "virtual"),
        ("virtual", False, "virtual"),
    ],
)
def test_the_right_to_set_the_clock_decides(simulated_kernel, kind, allowed, name):
    kernel = simulated_kernel(allowed=allowed)
    assert choose_clock(kind, kernel).name == name
    assert kernel.settings == 0


def test_the_system_clock_without_the_right_to_set_it_is_refused_with_advice(simulated_kernel):
    with pytest.raises(ClockError, match="CAP_SYS_TIME"):
        choose_clock("system", simulated_kernel(allowed=False))
