"""The modem lines of a serial port: looked at, or waited for (ioctl_tty(2), "Modem control")."""

import ctypes
import errno
import fcntl
import os
import signal
import sys
import termios
import threading
import time
from typing import Literal

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.receivers.edge_hunt import Bracket, Watch

LineName = Literal["dcd", "cts", "dsr", "ri"]

_BITS: dict[LineName, int] = {
    "dcd": termios.TIOCM_CD,
    "cts": termios.TIOCM_CTS,
    "dsr": termios.TIOCM_DSR,
    "ri": termios.TIOCM_RI,
}
_CONTROL_FLAGS = 2
WAKE = signal.SIGURG
"""Ends a thread's wait. Of all signals the one that does no harm where nobody listens to it: it is ignored then."""


def open_port(path: str) -> int:
    """A serial port's descriptor; what is received on it stays for others, and its speed stays as it is.

    Raises DeviceError, with a text that says what to do.
    """
    try:
        # Without O_NONBLOCK it would wait for a carrier, which is the pulse.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise DeviceError(_advice(path, error)) from error
    try:
        settings = termios.tcgetattr(descriptor)
        settings[_CONTROL_FLAGS] |= termios.CLOCAL  # or the end of each pulse on DCD would hang up
        termios.tcsetattr(descriptor, termios.TCSANOW, settings)
    except termios.error as error:
        os.close(descriptor)
        raise DeviceError(f"{path} is no serial port") from error
    return descriptor


class ModemLine:
    """One line of an open serial port. Raises DeviceError, with a text that says what to do."""

    def __init__(self, path: str, name: LineName) -> None:
        self._path = path
        self._bit = _BITS[name]
        self._state = bytearray(ctypes.sizeof(ctypes.c_int))
        self._descriptor = open_port(path)
        try:
            self.active()
        except DeviceError:
            self.close()
            raise

    def active(self) -> bool:
        """Its level now."""
        try:
            fcntl.ioctl(self._descriptor, termios.TIOCMGET, self._state)
        except OSError as error:
            raise DeviceError(_advice(self._path, error)) from error
        return bool(int.from_bytes(self._state, sys.byteorder) & self._bit)

    def wait(self) -> bool:
        """Block this thread until the line changes, or until it is woken (see `wake`): whether the line changed."""
        try:
            fcntl.ioctl(self._descriptor, termios.TIOCMIWAIT, self._bit)
        except InterruptedError:
            return False
        except OSError as error:
            if error.errno in {errno.ENOTTY, errno.EINVAL}:
                text = f'{self._path}: its driver does not tell of changes (no TIOCMIWAIT): set capture = "poll"'
                raise DeviceError(text) from error
            raise DeviceError(_advice(self._path, error)) from error
        return True

    def find_edge(self, watch: Watch, *, rising: bool) -> Bracket | None:
        """Look as `watch` says, in this thread; None where no edge came, or it had come before."""
        time.sleep(max(0, watch.begin - time.monotonic_ns()) / NS_PER_SECOND)
        before: int | None = None
        while (began := time.monotonic_ns()) < watch.end:
            active, ended = self.active(), time.monotonic_ns()
            if active is not rising:
                before = began
            elif before is not None:
                return Bracket(MonoNs(before), MonoNs(ended))
            elif not watch.pause:
                return None
            if watch.pause:
                time.sleep(watch.pause)
        return None

    def close(self) -> None:
        """Give the port back; nobody may be waiting."""
        os.close(self._descriptor)


def listen_to_wake() -> None:
    """Let `wake` reach waiting threads: a signal that nobody handles ends no wait. Works in the main thread only."""
    if (
        signal.getsignal(WAKE) in {signal.SIG_DFL, signal.SIG_IGN}
        and threading.current_thread() is threading.main_thread()
    ):
        signal.signal(WAKE, lambda *_: None)


def wake(thread: threading.Thread, patience: float = 1.0) -> bool:
    """End the waits of a thread that is about to end, and see it do so; False where it has not within `patience`."""
    deadline = time.monotonic() + patience
    while thread.is_alive() and time.monotonic() < deadline:
        if thread.ident is not None:
            signal.pthread_kill(thread.ident, WAKE)  # again and again: it may be just about to wait
        thread.join(0.01)
    return not thread.is_alive()


def _advice(path: str, error: OSError) -> str:
    return f"{path} {_ADVICE.get(error.errno) or f'has gone or failed: {error.strerror}'}"


_ADVICE: dict[int | None, str] = {
    errno.ENOENT: "does not exist: is the adapter plugged in?",
    errno.EACCES: "may not be opened by this user: add the user to group dialout (`usermod -a -G dialout USER`)",
    errno.EBUSY: "is held by another program, which keeps everybody else out",
    errno.ENOTTY: "has no modem lines that can be read",
    errno.EINVAL: "has no modem lines that can be read",
    errno.EIO: "hung up: was the adapter unplugged?",
    errno.ENXIO: "hung up: was the adapter unplugged?",
}
