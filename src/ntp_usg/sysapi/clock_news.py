"""The kernel's word that somebody has set the system clock (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET)."""

import ctypes
import errno
import os

from ntp_usg.sysapi.libc import LIBC, check

_CLOCK_REALTIME = 0
_ABSOLUTE, _CANCEL_ON_SET = 1, 2
_NEVER = (1 << 8 * ctypes.sizeof(ctypes.c_long) - 1) - 1  # seconds


class _Interval(ctypes.Structure):
    _fields_ = (
        ("period_seconds", ctypes.c_long),
        ("period_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


def open_clock_news() -> int:
    """A descriptor that becomes readable when the clock is set, or leaps. Raises OSError where the kernel has none."""
    descriptor = check(LIBC.timerfd_create(_CLOCK_REALTIME, os.O_NONBLOCK | os.O_CLOEXEC), "timerfd_create")
    try:
        expect_news(descriptor)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def expect_news(descriptor: int) -> None:
    """Have it tell of the next time: what has happened until now is forgotten. Raises OSError."""
    never = _Interval(0, 0, _NEVER, 0)
    result = LIBC.timerfd_settime(descriptor, _ABSOLUTE | _CANCEL_ON_SET, ctypes.byref(never), None)
    if ctypes.get_errno() != errno.ECANCELED:  # that is the news: the timer runs again all the same
        check(result, "timerfd_settime")
