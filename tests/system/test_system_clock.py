"""The system clock on a real kernel, that of a user-mode-linux guest: the only place where tests set a clock."""

import time

import pytest

pytestmark = pytest.mark.peer

# A clock reading takes 13 us in the guest, and a busy machine can hold it up in between.
READING_US = 60
TIME_OK, TIME_INS, TIME_OOP, TIME_WAIT = 0, 1, 3, 4  # adjtimex(2)


@pytest.fixture(scope="module")
def result(guest):
    before = time.time_ns() - time.monotonic_ns()
    result = guest.run("clock.py")
    return result | {"this_machine_moved": (time.time_ns() - time.monotonic_ns() - before) / 1e9}


def test_the_clock_of_this_machine_did_not_move(result):
    assert result["this_machine_moved"] == pytest.approx(0, abs=0.001)


def test_root_may_set_the_clock_and_asking_changes_nothing(result):
    assert result["may_set"]
    assert result["asking_changed_nothing"]


def test_without_rights_the_clock_is_virtual(result):
    assert result["without_rights"] == {
        "may_set": False,
        "auto": "virtual",
        "step": "setting the system clock needs CAP_SYS_TIME, outside of any container",
    }


def test_what_another_daemon_left_running_is_ended(result):
    assert result["left_ppm"] == 100, "the changed tick counts as frequency"
    assert result["taken_over"] == {"ppm": 400, "pll": False}
    assert result["measured_ppm"] == pytest.approx(400, abs=READING_US / 2)


def test_steps_move_the_clock_by_what_was_asked(result):
    assert result["steps"] == pytest.approx([2.5, -1.0], abs=READING_US / 1e6)


def test_a_slew_gains_what_was_asked_and_ends(result):
    slew = result["slew"]
    assert slew["kernel_ppm"] == pytest.approx(270, abs=0.001)
    assert slew["gained_us"] == pytest.approx(600, abs=2 * READING_US)
    assert slew["ppm_afterwards"] == pytest.approx(-30, abs=READING_US)


def test_the_kernel_says_of_its_clock_what_it_was_told(result):
    assert result["qualities"] == {
        "maximum_error": 0.0025,
        "estimated_error": 0.0001,
        "status": 0,
        "leap_state": 0,
        "unsynchronised_after_step": True,
    }


def test_the_kernel_inserts_a_leap_second_and_counts_it_into_tai(result):
    leap = result["leap_second"]
    assert leap["moved"] == pytest.approx(-1, abs=READING_US / 1e6)
    assert leap["states"] == [TIME_OK, TIME_INS, TIME_OOP, TIME_WAIT, TIME_OK]
    assert leap["tai_offset"] == 37
    assert leap["told"]


def test_the_kernel_tells_each_time_that_its_clock_was_set(result):
    assert result["news"] == [False, True, False, True]


def test_a_frequency_that_another_program_has_set_shows(result):
    assert result["interference"] == [
        None,
        "the kernel's clock is corrected by +123.000 ppm, and not by our +0.000 ppm",
    ]


def test_closing_leaves_the_plain_frequency(result):
    assert result["ppm_left_behind"] == pytest.approx(-30, abs=0.001)


def test_the_record_of_raw_time_agrees_with_the_kernels_raw_clock(result):
    assert result["worst_error_of_record_us"] < 2 * READING_US
