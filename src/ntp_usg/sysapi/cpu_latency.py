"""Keeping the processor awake: PM QoS (Documentation/power/pm_qos_interface.rst in the kernel's source)."""

import errno
import os
import struct

from ntp_usg.core.base.errors import DeviceError

DEVICE = "/dev/cpu_dma_latency"


class CpuLatencyLimit:
    """While it is open, no processor sleeps so deeply that waking takes more than `limit_us` microseconds.

    Raises DeviceError, with a text that says what to do.
    """

    def __init__(self, limit_us: int, path: str = DEVICE) -> None:
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError(f"{path} {_ADVICE.get(error.errno) or error.strerror}") from error
        try:
            os.write(self._descriptor, struct.pack("@i", limit_us))  # a number in binary; the kernel keeps no file
        except OSError as error:
            self.close()
            raise DeviceError(f"{path} takes no limit: {error.strerror}") from error

    def close(self) -> None:
        """Let the processor sleep as before."""
        os.close(self._descriptor)


_ADVICE: dict[int | None, str] = {
    errno.ENOENT: "does not exist: this kernel was built without power management, or it is hidden from this service",
    errno.EACCES: "may not be opened by this user: give it to a group that the user is in, with a udev rule such as "
    '`KERNEL=="cpu_dma_latency", GROUP="dialout", MODE="0660"`',
    errno.EPERM: "may not be opened in here: allow it in the service (`DeviceAllow=/dev/cpu_dma_latency w`)",
}
