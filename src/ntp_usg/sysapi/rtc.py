"""The clock that goes on while a machine is off: Linux's /dev/rtcN (linux/rtc.h, rtc(4)). It is only read."""

import errno
import fcntl
import os
from datetime import datetime

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.receivers.rtc import TIME, RtcInterrupt, parse_interrupt, parse_rtc_time

RTC_UIE_ON = ord("p") << 8 | 0x03
RTC_UIE_OFF = ord("p") << 8 | 0x04
RTC_RD_TIME = 2 << 30 | TIME.size << 16 | ord("p") << 8 | 0x09
_LONGEST = 8


class RtcDevice:
    """An open /dev/rtcN. Everything raises DeviceError, with a text that says what to do, or WireError for nonsense."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError(_advice(path, error)) from error
        self.interrupts = self._switch_interrupts(RTC_UIE_ON)
        """Whether it tells when a second begins."""

    def read_time(self) -> datetime:
        """What it shows, of whatever time zone."""
        buffer = bytearray(TIME.size)
        try:
            fcntl.ioctl(self._descriptor, RTC_RD_TIME, buffer)
        except OSError as error:
            raise DeviceError(_advice(self._path, error)) from error
        return parse_rtc_time(bytes(buffer))

    def fileno(self) -> int:
        """For whoever waits for interrupts."""
        return self._descriptor

    def interrupt(self) -> RtcInterrupt | None:
        """The latest, if one has come; does not wait."""
        try:
            return parse_interrupt(os.read(self._descriptor, _LONGEST))
        except BlockingIOError:
            return None
        except OSError as error:
            raise DeviceError(_advice(self._path, error)) from error

    def close(self) -> None:
        """Give the device back."""
        if self.interrupts:
            self._switch_interrupts(RTC_UIE_OFF)
        os.close(self._descriptor)

    def _switch_interrupts(self, request: int) -> bool:
        try:
            fcntl.ioctl(self._descriptor, request, 0)
        except OSError:  # many chips have no line for them
            return False
        return True


def _advice(path: str, error: OSError) -> str:
    if error.errno in _ADVICE:
        return f"{path} {_ADVICE[error.errno]}"
    return f"{path} has gone or failed: {error.strerror}"


_ADVICE = {
    errno.ENOENT: "does not exist: this machine has no real-time clock, or its driver is not loaded (Raspberry Pi: "
    "`dtoverlay=i2c-rtc,ds3231` in config.txt, for one)",
    errno.EACCES: "may not be opened by this user: give it to a group that the user is in, with a udev rule such as "
    '`KERNEL=="rtc0", GROUP="dialout", MODE="0640"`',
    errno.EBUSY: "is held by another program: does chronyd (`rtcfile`) or hwclock use it?",
    errno.EINVAL: "does not know the time: it lost power, or was never set; `hwclock --systohc` sets it to the host's",
    errno.ENOTTY: "is no real-time clock",
}
