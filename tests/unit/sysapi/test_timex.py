"""The kernel's clock as far as an unprivileged reader sees it. It is set in tests/system, on a kernel of its own."""

import subprocess
import sys
import time

import pytest

from ntp_usg.sysapi import timex
from ntp_usg.sysapi.timex import ClockStatus, KernelClock, clock_precision, read_clocks, suspended_for

# A process that could set this machine's clock must not even ask: rights are dropped first.
WITHOUT_RIGHTS = """
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.sysapi.privileges import drop_privileges
from ntp_usg.sysapi.timex import KernelClock
drop_privileges()
kernel = KernelClock()
"""


def run_without_rights(code: str) -> str:
    command = [sys.executable, "-c", WITHOUT_RIGHTS + code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout


def test_the_layout_is_that_of_the_kernel_header():
    layout = timex._Timex
    assert (layout.tick.offset, layout.time_sec.offset, layout.tai.offset) == (88, 72, 160)


def test_the_state_can_be_read_by_anyone():
    state = KernelClock().state()
    assert abs(state.frequency_ppm) <= 1000
    assert 0 <= state.estimated_error <= state.maximum_error <= 16
    assert (ClockStatus.UNSYNCHRONISED in state.status) == (state.leap_state == 5)


def test_both_clocks_are_read_at_one_instant():
    differences = [host - mono for host, mono in (read_clocks() for _ in range(100))]
    assert max(differences) - min(differences) < 1_000_000
    assert abs(read_clocks()[0] - time.time_ns()) < 1_000_000_000


def test_the_precision_is_that_of_a_readable_clock():
    assert -30 <= clock_precision() <= -10


def test_the_time_asleep_is_what_the_two_monotonic_clocks_differ_by():
    asleep = time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    assert suspended_for() == pytest.approx(asleep, abs=0.1)


def test_a_kernel_without_that_clock_has_never_slept(monkeypatch):
    monkeypatch.setattr(time, "CLOCK_BOOTTIME", 99)
    assert suspended_for() == 0


def test_without_the_right_the_clock_may_not_be_set():
    assert run_without_rights("print(kernel.may_set())") == "False\n"


@pytest.mark.parametrize(
    "call",
    [
        "kernel.step(0)",
        "kernel.set_frequency(0.0)",
        "kernel.declare(leap=Leap.NONE, maximum_error=1.0, estimated_error=1.0)",
    ],
)
def test_a_refusal_names_the_right_that_is_missing(call):
    output = run_without_rights(f"try:\n    {call}\nexcept ClockError as error:\n    print(error)")
    assert "needs CAP_SYS_TIME" in output


@pytest.mark.parametrize(
    ("error", "microseconds"), [(0.0, 0), (1.2e-6, 2), (1.0, 1_000_000), (99.0, 16_000_000), (float("inf"), 16_000_000)]
)
def test_errors_are_rounded_up_to_what_the_kernel_can_say(error, microseconds):
    assert timex._microseconds(error) == microseconds
