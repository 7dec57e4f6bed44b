"""The kernel's own stamps for pulses on a serial port: the PPS line discipline (tty(7), drivers/pps/clients)."""

import contextlib
import errno
import fcntl
import os
import sys
import termios
from pathlib import Path

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi.modem_lines import open_port

N_TTY, N_PPS = 0, 18  # linux/tty.h
PPS_CLASS = Path("/sys/class/pps")


class PpsAttachment:
    """A serial port whose DCD line is a pulse line of the kernel's for as long as this is open, as `ldattach PPS` does.

    What is received on the port can be read as before. Raises DeviceError, with a text that says what to do.
    """

    def __init__(self, port: str) -> None:
        self._descriptor = open_port(port)
        self._ours = False
        try:
            self._attach(port)
            self.device = _pulse_line(port)
        except DeviceError:
            self.close()
            raise

    def close(self) -> None:
        """Make it a plain port again, unless somebody else had made it one with pulses."""
        if self._ours:
            with contextlib.suppress(OSError):  # unplugged
                _set_discipline(self._descriptor, N_TTY)
        os.close(self._descriptor)

    def _attach(self, port: str) -> None:
        try:
            current = bytearray(4)
            fcntl.ioctl(self._descriptor, termios.TIOCGETD, current)
            if int.from_bytes(current, sys.byteorder) != N_PPS:
                _set_discipline(self._descriptor, N_PPS)
                self._ours = True
        except OSError as error:
            raise DeviceError(f"{port} {_ADVICE.get(error.errno) or f'takes no pulses: {error.strerror}'}") from error


def port_of(device: str) -> str:
    """The serial port behind /dev/ppsN as its driver calls it; empty where it is none."""
    return _attribute(device, "path")


def driver_of(device: str) -> str:
    """What the driver of /dev/ppsN calls itself; empty where nobody knows such a device."""
    return _attribute(device, "name")


def _attribute(device: str, name: str) -> str:
    try:
        return (PPS_CLASS / Path(device).resolve().name / name).read_text().strip()
    except OSError:
        return ""


def _set_discipline(descriptor: int, number: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSETD, number.to_bytes(4, sys.byteorder))


def _pulse_line(port: str) -> str:
    """The /dev/ppsN of a port."""
    # The kernel puts "/dev/" and the name that the driver has for it together: of /dev/pts/3 that makes /dev/pts3.
    wanted = str(Path(port).resolve()).replace("/", "")
    for entry in sorted(PPS_CLASS.glob("pps*")):
        if port_of(entry.name).replace("/", "") == wanted:
            return f"/dev/{entry.name}"
    raise DeviceError(f"{port}: the kernel made no pulse line of it")


_ADVICE: dict[int | None, str] = {
    errno.EINVAL: "takes no pulses: this kernel has no PPS line discipline (`modprobe pps_ldisc`); or set capture to "
    '"poll" or "wait"',
    errno.EPERM: "may not be given the PPS line discipline by this user (`modprobe pps_ldisc` first, as root); or set "
    'capture to "poll" or "wait"',
}
