"""Real pulses: the PPS interface of a real kernel, that of a user-mode-linux guest, and the driver on top of it.

The pulses come from the kernel's timer (pps-ktimer), which counts ticks of 10 ms and so runs some 40 ms slow.
"""

import re

import pytest

pytestmark = pytest.mark.peer

LATE = 0.5
A_SECOND_OF_KTIMER = pytest.approx(1.04, abs=0.05)


@pytest.fixture(scope="module")
def result(guest):
    return guest.run("pulses.py", modules=("pps_core", "pps-ktimer", "pps-ldisc"))


def test_the_device_says_what_it_can(result):
    assert result["name"] == "ktimer"
    assert result["device"]["capabilities"] == [True, False, True]


def test_each_wait_returns_the_next_pulse(result):
    device = result["device"]
    first = device["sequences"][0]
    assert device["sequences"] == [first, first + 1, first + 2, first + 3]
    assert device["intervals"] == [A_SECOND_OF_KTIMER] * 3
    assert device["clear_sequence"] == 0


def test_a_pulse_is_reported_when_it_comes(result):
    assert all(0 < delay < LATE for delay in result["device"]["delays"])


def test_the_latest_pulse_can_be_read_without_waiting(result):
    assert result["device"]["latest_is_last"]


def test_a_wait_without_a_pulse_times_out(result):
    assert result["device"]["timeout"] == "TimeoutError: /dev/pps0: no pulse within 0.2 s"
    assert 0.19 < result["device"]["timeout_took"] < 0.2 + LATE


def test_an_edge_that_the_line_cannot_capture_is_refused(result):
    assert result["device"]["clear"] == "DeviceError: /dev/pps0 cannot capture the clear edge"


def test_the_edges_to_capture_can_be_chosen(result):
    silent = result["silent"]
    assert (silent["mode_assert"], silent["mode_clear"], silent["mode_both"]) == (0x01, 0x02, 0x03)


def test_without_rights_a_line_that_captures_more_than_is_wanted_will_do(result):
    silent = result["silent"]
    assert silent["without_rights_clear"] == silent["without_rights_both"] == "none"
    assert silent["without_rights_assert"].endswith("may only be set to capture other edges with CAP_SYS_TIME")


def test_a_user_who_may_not_open_the_device_gets_advice(result):
    assert "udev rule" in result["silent"]["without_rights_open"]


def test_an_unplugged_line_falls_silent_and_is_missing_when_opened_again(result):
    assert result["silent"]["unplugged"].startswith("TimeoutError")
    assert result["silent"]["unplugged_open"].startswith("DeviceError: /dev/pps1 does not exist")


@pytest.mark.parametrize("name", ["driver", "driver_without_thread"])
def test_the_driver_reports_every_pulse(result, name):
    driver = result[name]
    assert driver["statuses"] == [[True, "/dev/pps0, edge: Assert"]]
    assert len(driver["sequences"]) >= 3
    assert driver["sequences"] == list(range(driver["sequences"][0], driver["sequences"][-1] + 1))
    assert driver["intervals"] == [A_SECOND_OF_KTIMER] * (len(driver["sequences"]) - 1)
    assert driver["verdicts"] == []


def test_on_select_alone_the_driver_starts_no_thread(result):
    assert result["driver_without_thread"]["threads"] == []


def test_the_tool_shows_the_kernels_pulses_and_leaves_the_line_as_it_is(result):
    code, shown, errors = result["tool"]["counted"]
    assert (code, errors, result["tool"]["mode_is_kept"]) == (1, "", True)
    lines = shown.splitlines()
    assert lines[:3] == [
        'trying PPS source "/dev/pps0"',
        'found PPS source "/dev/pps0"',
        "ok, found 1 source(s), now start fetching data...",
    ]
    for line in lines[3:6]:
        assert re.fullmatch(r"source 0 - assert \d{10}\.\d{9}, sequence: \d+ - clear  0\.000000000, sequence: 0", line)
    assert lines[6] == "3 pulses, 0 missing, 0 extra"
    assert "wrong rate: pulses 1.04 s apart, where 1 pulse a second must come" in lines, "its timer is slow"


def test_the_tools_figures_come_at_ctrl_c(result):
    code, rest = result["tool"]["interrupted"]
    assert code == 1
    assert "pulses, 0 missing, 0 extra" in rest
