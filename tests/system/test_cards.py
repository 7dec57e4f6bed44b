"""Clocks on cards and real-time clocks, as the kernel would show them, with the unmodified daemon."""

import pytest

pytestmark = [pytest.mark.peer, pytest.mark.timeout(120)]

AHEAD = 1.5
GOOD = 1e-3
"""Seconds: a kernel that needs 13 us to read its clock, as a process on a busy machine."""
RTC_GOOD = 0.2
"""The same for interrupts that wait until such a kernel lets somebody hear of them: far from another second."""


@pytest.fixture(scope="module")
def result(guest):
    return guest.run("cards.py", modules=("fuse", "cuse"), timeout=110)


def daemon(result, name):
    outcome = result["outcomes"][name]
    assert outcome["came"], outcome["log"]
    return outcome["status"]


def test_a_card_is_read_in_the_best_way_that_it_has(result):
    assert result["modern"]["way"] == "precise"
    assert result["modern"]["widths"] == [0]
    assert result["modern"]["offsets"] == pytest.approx([AHEAD + 37], abs=1e-9)
    assert result["old"]["way"] == "plain"
    assert result["old"]["offsets"] == pytest.approx([AHEAD] * 5, abs=0.01)
    assert all(width > 0 for width in result["old"]["widths"])


def test_a_card_tells_what_it_can(result):
    assert result["modern"]["capabilities"] == [2, 1, True]
    assert result["old"]["capabilities"] == [2, 1, False]


def test_what_cannot_be_used_is_refused_with_advice(result):
    refusals = result["refusals"]
    assert refusals["missing"].startswith("/dev/ptp9 does not exist")
    assert refusals["no_clock"] == "/dev/rtc1 is no PTP hardware clock"
    assert refusals["no_rtc"] == "/dev/ptp0 is no real-time clock"
    assert refusals["pin"].startswith("/dev/ptp1 has lent this pin or channel to another program")
    assert refusals["held"].startswith("/dev/rtc0 is held by another program")
    assert refusals["interface"].startswith("lo has no clock of its own")


def test_a_card_that_counts_tai_leads_the_daemon_to_stratum_1(result):
    status = daemon(result, "card")
    assert status["system"]["stratum"] == 1
    assert status["system"]["host_offset"] == pytest.approx(AHEAD, abs=GOOD)
    assert "/dev/ptp0, TAI, precise" in result["outcomes"]["card"]["log"]


def test_a_card_that_is_unplugged_is_missed(result):
    assert result["unplugged"].startswith("/dev/ptp0 ")


def test_a_real_time_clock_leads_the_daemon_at_a_bad_stratum_and_with_a_wide_promise(result):
    status = daemon(result, "rtc")
    assert status["system"]["stratum"] == 10
    assert status["system"]["host_offset"] == pytest.approx(AHEAD, abs=RTC_GOOD)
    assert status["system"]["root_dispersion"] > 1.9
    assert "/dev/rtc0, UTC, interrupts" in result["outcomes"]["rtc"]["log"]


def test_pulses_that_a_card_stamps_are_numbered_by_a_clock_in_local_time_without_interrupts(result):
    status = daemon(result, "pulses")
    assert status["system"]["host_offset"] == pytest.approx(AHEAD, abs=GOOD)
    assert {source["name"]: source["tally"] for source in status["sources"]}["PHC(0)"] == "pps"
    assert "/dev/rtc1, local time, no interrupts" in result["outcomes"]["pulses"]["log"]


def test_the_pin_and_the_channel_are_set_up_and_given_back(result):
    assert result["requests"] == [
        "pin 0, function 1, channel 1",
        "channel 1, flags 3",
        "channel 1, flags 0",
    ]


def test_the_daemons_end_as_asked(result):
    assert result["exit_codes"] == [0, 0, 0]
