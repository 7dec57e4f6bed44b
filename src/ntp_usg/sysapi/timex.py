"""The kernel's clock: reading it, setting it and telling the kernel how good it is (adjtimex(2))."""

import ctypes
import errno
import math
import os
import time
from dataclasses import dataclass
from enum import IntFlag
from itertools import pairwise

from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, seconds
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.sysapi.libc import LIBC, check

_ADJ_FREQUENCY, _ADJ_MAXERROR, _ADJ_ESTERROR, _ADJ_STATUS = 0x0002, 0x0004, 0x0008, 0x0010
_ADJ_TAI, _ADJ_SETOFFSET, _ADJ_NANO, _ADJ_TICK = 0x0080, 0x0100, 0x2000, 0x4000
_SCALED_PPM = 1 << 16
_MAXIMUM_ERROR_US = 16_000_000  # the kernel's own "unknown" (NTP_PHASE_LIMIT)
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_NOMINAL_TICK_US = 1_000_000 // _TICKS_PER_SECOND

MAXIMUM_FREQUENCY_PPM = 500.0
"""The kernel corrects its frequency by no more than this, either way."""


class ClockStatus(IntFlag):
    """STA_ bits of timex.status: those that matter to whoever steers the clock from user space."""

    PLL = 0x0001
    FLL = 0x0008
    INSERT_LEAP_SECOND = 0x0010
    DELETE_LEAP_SECOND = 0x0020
    UNSYNCHRONISED = 0x0040
    NANOSECONDS = 0x2000


_STATUS = {
    Leap.NONE: ClockStatus(0),
    Leap.INSERT: ClockStatus.INSERT_LEAP_SECOND,
    Leap.DELETE: ClockStatus.DELETE_LEAP_SECOND,
    Leap.UNSYNCHRONISED: ClockStatus.UNSYNCHRONISED,
}


@dataclass(frozen=True, slots=True)
class ClockState:
    """What the kernel says of its clock. Errors in seconds."""

    frequency_ppm: float
    """The whole correction in force, that of a changed tick length (chronyd does that) included."""
    maximum_error: float
    estimated_error: float
    status: ClockStatus
    tai_offset: int
    leap_state: int
    """TIME_OK ... TIME_ERROR, as adjtimex(2) returns it."""


class _Timex(ctypes.Structure):
    """struct __kernel_timex: 64-bit fields everywhere, so that 32-bit machines pass 2038 too."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("_pad1", ctypes.c_int),
        ("offset", ctypes.c_longlong),
        ("freq", ctypes.c_longlong),
        ("maxerror", ctypes.c_longlong),
        ("esterror", ctypes.c_longlong),
        ("status", ctypes.c_int),
        ("_pad2", ctypes.c_int),
        ("constant", ctypes.c_longlong),
        ("precision", ctypes.c_longlong),
        ("tolerance", ctypes.c_longlong),
        ("time_sec", ctypes.c_longlong),
        ("time_usec", ctypes.c_longlong),  # nanoseconds with ADJ_NANO
        ("tick", ctypes.c_longlong),
        ("_pps", ctypes.c_longlong * 8),
        ("tai", ctypes.c_int),
        ("_reserved", ctypes.c_int * 11),
    )


# The plain symbol has 32-bit seconds on 32-bit machines; there the C library exports the other one beside it.
_clock_adjtime = getattr(LIBC, "__clock_adjtime64", LIBC.clock_adjtime)


class KernelClock:
    """CLOCK_REALTIME. Whatever sets it needs CAP_SYS_TIME and raises ClockError where the kernel refuses."""

    def read(self) -> tuple[HostNs, MonoNs]:
        """The wall and monotonic clocks at one instant: the tightest of three tries, good to some 100 ns."""
        return read_clocks()

    def state(self) -> ClockState:
        """What the kernel says of its clock."""
        timex = _Timex()
        leap_state = _adjust(timex)
        return ClockState(
            frequency_ppm=timex.freq / _SCALED_PPM + (timex.tick * _TICKS_PER_SECOND - 1_000_000),
            maximum_error=timex.maxerror / 1e6,
            estimated_error=timex.esterror / 1e6,
            status=ClockStatus(timex.status),
            tai_offset=timex.tai,
            leap_state=leap_state,
        )

    def may_set(self) -> bool:
        """Whether this process may set the clock, without setting it.

        A capability of a container's user namespace does not count, and seccomp may forbid: only the kernel knows. It
        checks the right before the value, so a tick of length 0, which it always refuses, tells.
        """
        timex = _Timex(modes=_ADJ_TICK, tick=0)
        return _clock_adjtime(time.CLOCK_REALTIME, ctypes.byref(timex)) < 0 and ctypes.get_errno() == errno.EINVAL

    def set_frequency(self, ppm: float) -> float:
        """Correct the frequency by `ppm` (positive = faster) and return what the kernel made of it."""
        timex = _Timex(modes=_ADJ_FREQUENCY | _ADJ_TICK, freq=round(ppm * _SCALED_PPM), tick=_NOMINAL_TICK_US)
        _adjust(timex)
        return float(timex.freq / _SCALED_PPM)

    def step(self, offset_ns: int) -> None:
        """Add `offset_ns` to the time.

        This also ends whatever another program left running (adjtime, the kernel's own PLL), even with an offset of 0,
        and the clock counts as unsynchronised until `declare` says otherwise.
        """
        sec, nsec = divmod(offset_ns, NS_PER_SECOND)
        modes = _ADJ_SETOFFSET | _ADJ_NANO | _ADJ_STATUS
        _adjust(_Timex(modes=modes, time_sec=sec, time_usec=nsec, status=ClockStatus.UNSYNCHRONISED))

    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None:
        """Tell the kernel, and all who ask it, how good the clock is; errors in seconds, rounded up.

        At the midnight after INSERT or DELETE the kernel leaps by itself, and changes its TAI offset likewise.
        """
        timex = _Timex(
            modes=_ADJ_STATUS | _ADJ_MAXERROR | _ADJ_ESTERROR | (0 if tai_offset is None else _ADJ_TAI),
            status=_STATUS[leap],
            maxerror=_microseconds(maximum_error),
            esterror=_microseconds(estimated_error),
            constant=tai_offset or 0,  # in this field the kernel expects it
        )
        _adjust(timex)


def read_clocks() -> tuple[HostNs, MonoNs]:
    """CLOCK_REALTIME and CLOCK_MONOTONIC at one instant: the tightest of three tries, good to some 100 ns."""
    return min((_read_pair() for _ in range(3)), key=lambda pair: pair[0])[1]


def suspended_for() -> float:
    """Seconds that this machine has slept since it was started: CLOCK_MONOTONIC stands still then."""
    try:
        return seconds(time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns())
    except OSError:  # simulated kernels do not all have this clock, nor do they sleep
        return 0.0


def clock_precision() -> int:
    """How finely this program can read the clock, as an exponent of two in seconds (RFC 5905 section 7.3)."""
    readings = [time.time_ns() for _ in range(1000)]
    finest = min((after - before for before, after in pairwise(readings) if after > before), default=1)  # simulated
    return math.ceil(math.log2(finest / NS_PER_SECOND))


def _read_pair() -> tuple[int, tuple[HostNs, MonoNs]]:
    before = time.monotonic_ns()
    host = time.time_ns()
    after = time.monotonic_ns()
    return after - before, (HostNs(host), MonoNs((before + after) // 2))


def _microseconds(error: float) -> int:
    return math.ceil(min(error * 1e6, _MAXIMUM_ERROR_US))


def _adjust(timex: _Timex) -> int:
    try:
        return check(_clock_adjtime(time.CLOCK_REALTIME, ctypes.byref(timex)), "clock_adjtime")
    except PermissionError as error:
        raise ClockError("setting the system clock needs CAP_SYS_TIME, outside of any container") from error
    except OSError as error:
        raise ClockError(f"the kernel refuses to set its clock: {error.strerror}") from error
