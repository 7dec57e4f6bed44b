"""Pulses on serial ports: modem lines that are looked at and waited for, the line discipline, the kernel's consumer."""

import pytest

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

SLOW = 0.02
"""Seconds: a machine that is busy with other tests lets the guest wait so long."""

LOOK = 50e-6
"""Seconds that a look at a line takes at least in the guest, where each is answered by another thread."""


@pytest.fixture(scope="module")
def result(guest):
    return guest.run("modem_lines.py", modules=("fuse", "cuse", "pps_core", "pps-ldisc", "pps-ktimer"), timeout=110)


@pytest.fixture(scope="module")
def lines(result):
    return result["lines"]


def test_a_line_that_is_looked_at_when_due_shows_its_pulses(lines):
    assert lines["poll"]["statuses"] == [[True, "/dev/fakeS0, CTS by poll, edge: Assert"]]
    assert lines["poll"]["sequences"][:2] == [1, 2]
    assert all(abs(error) < SLOW for error in lines["poll"]["errors"])


def test_a_line_that_is_looked_at_is_seldom_looked_at(lines):
    assert lines["poll"]["looks"] < 3000, "a search of a second or two at 1 ms, then a few looks a pulse"


def test_the_end_of_a_pulse_can_be_looked_for_too(lines):
    assert lines["poll_clear"]["sequences"][0] == 1
    assert all(abs(error - 0.1) < SLOW for error in lines["poll_clear"]["errors"])


@pytest.mark.parametrize(("name", "end"), [("poll", "BEGIN"), ("poll_clear", "END"), ("wait", "BEGIN")])
def test_a_line_shows_which_end_of_the_pulse_is_captured(lines, name, end):
    assert lines[name]["ends"][-1] == end


def test_a_line_that_is_waited_for_shows_its_pulses_late(lines):
    assert lines["wait"]["statuses"][0][1].startswith(
        "/dev/fakeS0, CTS by wait, edge: Assert, taken to be 230 us late, give or take 220 us"
    )
    first, second, *_ = lines["wait"]["sequences"]  # counted from a pulse that may have begun before
    assert second == first + 1
    assert all(0 < error < SLOW for error in lines["wait"]["errors"])


@pytest.mark.parametrize("name", ["poll", "poll_clear", "wait", "silent"])
def test_no_thread_stays_behind(lines, name):
    assert lines[name]["threads_end"]


def test_the_end_of_a_pulse_hangs_nobody_up(lines):
    assert lines["carrier_ignored"]


def test_a_line_without_pulses_says_so(lines):
    assert lines["silent"]["statuses"] == [[False, "/dev/fakeS0: no pulse for 1 s; has the receiver a fix?"]]


def test_a_driver_that_does_not_tell_of_changes_gets_advice(lines):
    assert lines["cannot_wait"] == [
        [False, '/dev/fakeS1: its driver does not tell of changes (no TIOCMIWAIT): set capture = "poll"']
    ]


def test_an_unplugged_port_is_named(lines):
    assert lines["unplugged"].startswith("DeviceError: /dev/fakeS2 has gone or failed")


def test_the_daemon_leads_by_a_line_that_is_looked_at_and_promises_no_more_than_that_allows(lines):
    system, log = lines["daemon"]["system"], lines["daemon"]["log"]
    assert system, log
    assert (system["stratum"], system["reference_id"]) == (1, "PPS")
    assert LOOK / 2 < system["root_distance"] < SLOW
    assert abs(system["host_offset"] - 0.7) <= system["root_distance"]
    assert lines["daemon"]["exit_code"] == 0


def test_the_tool_shows_what_a_modem_line_does(lines):
    tool = lines["daemon"]["tool"]
    assert (tool["exit_code"], tool["pulses"], tool["extra"]) == (int(tool["missing"] > 0), 2, 0)
    assert (tool["line"], tool["capture"], tool["input"]) == ("cts", "poll", "serial port, polled")
    assert abs(tool["mean_interval"] - 1) < SLOW


def test_a_port_becomes_a_pulse_line_of_the_kernels_and_a_plain_port_again(result):
    attachment = result["attachment"]
    assert (attachment["device"], attachment["driver"]) == ("/dev/pps1", "pty_slave0")
    assert attachment["gone"]
    assert (attachment["opened"], attachment["closed"]) == (True, True)


def test_a_port_that_somebody_else_has_made_a_pulse_line_stays_one(result):
    assert result["attachment"]["second"] == "/dev/pps1"
    assert result["attachment"]["kept_by_the_first"]


def test_a_kernel_without_a_discipline_of_its_own_says_so(result):
    assert "this kernel has none (CONFIG_NTP_PPS" in result["kernel_consumer"]["bind"]


def test_feeding_the_kernel_needs_rights(result):
    assert result["kernel_consumer"]["without_rights"].endswith("kernel consumer is off: it needs CAP_SYS_TIME")


def test_the_driver_says_why_the_kernel_is_not_fed_and_reports_pulses_all_the_same(result):
    driver = result["kernel_consumer"]["driver"]
    assert driver["statuses"] == [[True, f"/dev/pps0, edge: Assert, {driver['why']}"]]
    assert driver["pulses"] > 0
