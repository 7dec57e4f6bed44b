"""Real-time clocks without one: numbers, layout and advice. What they tell is tried in tests/system."""

import ctypes
import errno
import os

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.receivers.rtc import TIME
from ntp_usg.sysapi import rtc
from ntp_usg.sysapi.rtc import RtcDevice


def test_the_numbers_and_the_layout_are_those_of_the_kernel_header():
    assert (rtc.RTC_UIE_ON, rtc.RTC_UIE_OFF, rtc.RTC_RD_TIME) == (0x7003, 0x7004, 0x80247009)
    assert TIME.size == 9 * ctypes.sizeof(ctypes.c_int)


def test_a_missing_device_is_named_with_advice(tmp_path):
    with pytest.raises(DeviceError, match="rtc0 does not exist: this machine has no real-time clock"):
        RtcDevice(str(tmp_path / "rtc0"))


def test_a_file_is_no_clock(tmp_path):
    (tmp_path / "rtc0").touch()
    device = RtcDevice(str(tmp_path / "rtc0"))
    assert not device.interrupts
    with pytest.raises(DeviceError, match="is no real-time clock"):
        device.read_time()
    device.close()


@pytest.mark.parametrize(("number", "words"), [(errno.EBUSY, "chronyd"), (errno.EINVAL, "hwclock --systohc")])
def test_each_refusal_says_what_to_do(number, words):
    assert words in rtc._advice("/dev/rtc0", OSError(number, os.strerror(number)))
