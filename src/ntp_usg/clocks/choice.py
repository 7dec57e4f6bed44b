"""Which clock is steered: the kernel's where that is allowed, else a virtual one."""

from typing import Literal

from ntp_usg.clocks.system import SystemClock
from ntp_usg.clocks.virtual import VirtualClock
from ntp_usg.core.base.errors import ClockError
from ntp_usg.sysapi.timex import KernelClock

ClockKind = Literal["auto", "system", "virtual"]


def choose_clock(kind: ClockKind, kernel: KernelClock | None = None) -> SystemClock | VirtualClock:
    """The clock for a setting; "auto" takes the kernel's if this process may set it.

    Raises ClockError for "system" without that right.
    """
    kernel = kernel or KernelClock()
    if kind == "virtual" or (kind == "auto" and not kernel.may_set()):
        return VirtualClock()
    if not kernel.may_set():
        raise ClockError(
            'clock = "system" needs the right to set the clock: run as root or with CAP_SYS_TIME (systemd: '
            'AmbientCapabilities=CAP_SYS_TIME), not in a container; or choose clock = "virtual"'
        )
    return SystemClock(kernel)
