"""Pulses as the kernel stamps them: RFC 2783 through Linux's /dev/ppsN (linux/pps.h)."""

import ctypes
import errno
import fcntl
import os
import struct
import sys
import time
from dataclasses import dataclass
from typing import Literal

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs

_CAPTURE_ASSERT, _CAPTURE_CLEAR, _CAN_WAIT = 0x01, 0x02, 0x100
_CAPTURE_BOTH = _CAPTURE_ASSERT | _CAPTURE_CLEAR

# struct pps_ktime is "qiI": seconds, nanoseconds, flags. Native alignment, as the kernel's own.
_PARAMETERS = struct.Struct("@iiqiIqiI")  # API version, mode, offsets of assert and clear
_FETCH_DATA = struct.Struct("@IIqiIqiIiqiI")  # sequences of assert and clear, their times, mode, timeout
_BINDING = struct.Struct("@iii")  # format of times, edge, consumer
_TIMES_AS_TIMESPEC, _HARDPPS = 0x1000, 0
_INFO = struct.Struct("!IIqq")


def request_number(direction: int, number: int) -> int:
    """An ioctl number of linux/pps.h: its macros name pointer types, so the size in it is that of a pointer."""
    return direction << 30 | ctypes.sizeof(ctypes.c_void_p) << 16 | ord("p") << 8 | number


_WRITE, _READ = 1, 2
PPS_GETPARAMS = request_number(_READ, 0xA1)
PPS_SETPARAMS = request_number(_WRITE, 0xA2)
PPS_GETCAP = request_number(_READ, 0xA3)
PPS_FETCH = request_number(_READ | _WRITE, 0xA4)
PPS_KC_BIND = request_number(_WRITE, 0xA5)


@dataclass(frozen=True, slots=True)
class PpsCapabilities:
    """What a pulse line can do."""

    assert_edge: bool
    clear_edge: bool
    can_wait: bool
    """Whether `fetch` waits for the next pulse instead of returning at once."""


@dataclass(frozen=True, slots=True)
class PpsInfo:
    """The latest edges of both kinds. A sequence counts edges and wraps at 2**32; 0 = none has come yet."""

    assert_sequence: int
    clear_sequence: int
    assert_ns: HostNs
    clear_ns: HostNs

    def pack(self) -> bytes:
        """As a datagram, for a simulated pulse line."""
        return _INFO.pack(self.assert_sequence, self.clear_sequence, self.assert_ns, self.clear_ns)

    @classmethod
    def unpack(cls, data: bytes) -> "PpsInfo":
        """The inverse of `pack`; raises WireError for any other length."""
        if len(data) != _INFO.size:
            raise WireError(f"a pulse record has {_INFO.size} bytes, not {len(data)}")
        assert_sequence, clear_sequence, assert_ns, clear_ns = _INFO.unpack(data)
        return cls(assert_sequence, clear_sequence, HostNs(assert_ns), HostNs(clear_ns))


class PpsDevice:
    """An open /dev/ppsN. Everything but `fetch` raises DeviceError, with a text that says what to do."""

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError(_advice(path, error)) from error
        try:
            self._capabilities()  # refuses whatever is no PPS device
        except DeviceError:
            self.close()
            raise

    def capabilities(self) -> PpsCapabilities:
        """What this line can do."""
        bits = self._capabilities()
        return PpsCapabilities(
            assert_edge=bool(bits & _CAPTURE_ASSERT),
            clear_edge=bool(bits & _CAPTURE_CLEAR),
            can_wait=bool(bits & _CAN_WAIT),
        )

    def set_mode(self, *, assert_edge: bool, clear_edge: bool) -> None:
        """Choose the edges to capture.

        Changing them needs CAP_SYS_TIME; without it a line that captures more than is wanted will do.
        """
        wanted = _CAPTURE_ASSERT * assert_edge | _CAPTURE_CLEAR * clear_edge
        buffer = bytearray(_PARAMETERS.size)
        self._control(PPS_GETPARAMS, buffer)
        version, mode, *offsets = _PARAMETERS.unpack(buffer)
        if mode & _CAPTURE_BOTH == wanted:
            return
        if wanted & ~self._capabilities():
            raise DeviceError(f"{self._path} cannot capture the {'clear' if clear_edge else 'assert'} edge")
        _PARAMETERS.pack_into(buffer, 0, version, mode & ~_CAPTURE_BOTH | wanted, *offsets)
        try:
            self._control(PPS_SETPARAMS, buffer)
        except DeviceError:
            if wanted & ~mode:
                raise

    def fetch(self, timeout: float) -> PpsInfo:
        """Wait up to `timeout` seconds for the next edge; 0 returns the latest at once.

        Blocks this thread, without the interpreter's lock. Raises TimeoutError when no edge came and DeviceError when
        the device has gone.
        """
        deadline = time.monotonic() + timeout
        while True:
            remaining = max(0, round((deadline - time.monotonic()) * NS_PER_SECOND))
            buffer = bytearray(_FETCH_DATA.pack(*[0] * 9, *divmod(remaining, NS_PER_SECOND), 0))
            try:
                self._control(PPS_FETCH, buffer)
            except InterruptedError:
                continue
            except TimeoutError:
                raise TimeoutError(f"{self._path}: no pulse within {timeout:g} s") from None
            return _parse_fetch_data(buffer)

    def bind_kernel(self, edge: Literal["assert", "clear"] | None) -> None:
        """Feed the edges to the kernel's own discipline (RFC 2783 section 3.4.4), or no longer: None.

        Raises DeviceError where the kernel has none, where this process lacks CAP_SYS_TIME, and where another line
        feeds it.
        """
        bits = {"assert": _CAPTURE_ASSERT, "clear": _CAPTURE_CLEAR, None: 0}[edge]
        try:
            arguments = bytearray(_BINDING.pack(_TIMES_AS_TIMESPEC, bits, _HARDPPS))
            fcntl.ioctl(self._descriptor, PPS_KC_BIND, arguments)
        except OSError as error:
            raise DeviceError(f"kernel consumer is off: {_BINDING_ADVICE.get(error.errno, error.strerror)}") from error

    def close(self) -> None:
        """Give the device back."""
        os.close(self._descriptor)

    def _capabilities(self) -> int:
        buffer = bytearray(ctypes.sizeof(ctypes.c_int))
        self._control(PPS_GETCAP, buffer)
        return int.from_bytes(buffer, sys.byteorder)

    def _control(self, request: int, buffer: bytearray) -> None:
        try:
            fcntl.ioctl(self._descriptor, request, buffer)
        except (InterruptedError, TimeoutError):
            raise  # not the device's fault: `fetch` knows what they mean
        except OSError as error:
            raise DeviceError(_advice(self._path, error)) from error


def _parse_fetch_data(buffer: bytearray) -> PpsInfo:
    fields = _FETCH_DATA.unpack(buffer)
    return PpsInfo(
        assert_sequence=fields[0],
        clear_sequence=fields[1],
        assert_ns=HostNs(fields[2] * NS_PER_SECOND + fields[3]),
        clear_ns=HostNs(fields[5] * NS_PER_SECOND + fields[6]),
    )


def _advice(path: str, error: OSError) -> str:
    if error.errno in _ADVICE:
        return f"{path} {_ADVICE[error.errno]}"
    return f"{path} has gone or failed: {error.strerror}"


_NO_PPS = 'is not a PPS device; for a modem line of a serial port set `line` too, as in line = "dcd"'
_ADVICE = {
    errno.ENOENT: "does not exist: load the pulse line's driver (Raspberry Pi: `dtoverlay=pps-gpio,gpiopin=18` in "
    'config.txt; serial port: name that as the device, and set `line` too, as in line = "dcd")',
    errno.EACCES: "may not be opened by this user: give it to a group that the user is in, with a udev rule such as "
    '`KERNEL=="pps0", GROUP="dialout", MODE="0660"`',
    errno.EPERM: "may only be set to capture other edges with CAP_SYS_TIME",
    errno.ENOTTY: _NO_PPS,
    errno.ENXIO: _NO_PPS,
}
_BINDING_ADVICE: dict[int | None, str] = {
    errno.EOPNOTSUPP: "this kernel has none (CONFIG_NTP_PPS, which needs one built with CONFIG_HZ_PERIODIC)",
    errno.EPERM: "it needs CAP_SYS_TIME",
    errno.EINVAL: "another pulse line feeds the kernel, or this one does not capture the edge",
}
