"""Clocks on network cards and other boards: Linux's /dev/ptpN (linux/ptp_clock.h)."""

import contextlib
import ctypes
import errno
import os
import select
import socket
import struct
from collections.abc import Sequence

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.receivers.phc import (
    CAPABILITIES,
    EVENT,
    EXTENDED,
    MAX_SAMPLES,
    OFFSET,
    PRECISE,
    CrossStamp,
    Edge,
    PhcCapabilities,
    parse_capabilities,
    parse_edge,
    parse_extended,
    parse_offset,
    parse_precise,
)
from ntp_usg.sysapi.libc import LIBC, check

_PIN = struct.Struct("=64xIII20x")  # struct ptp_pin_desc: name, index, function, channel
_REQUEST = struct.Struct("=II8x")  # struct ptp_extts_request: channel, flags
_PIN_INPUT = 1  # PTP_PF_EXTTS
_ENABLE, _RISING, _FALLING, _STRICT = 1, 2, 4, 8
_READ, _WRITE = 2, 1


def _number(direction: int, number: int, layout: struct.Struct) -> int:
    return direction << 30 | layout.size << 16 | ord("=") << 8 | number


PTP_CLOCK_GETCAPS = _number(_READ, 1, CAPABILITIES)
PTP_EXTTS_REQUEST = _number(_WRITE, 2, _REQUEST)
PTP_SYS_OFFSET = _number(_WRITE, 5, OFFSET)
PTP_PIN_SETFUNC = _number(_WRITE, 7, _PIN)
PTP_SYS_OFFSET_PRECISE = _number(_READ | _WRITE, 8, PRECISE)
PTP_SYS_OFFSET_EXTENDED = _number(_READ | _WRITE, 9, EXTENDED)
PTP_EXTTS_REQUEST2 = _number(_WRITE, 11, _REQUEST)

_SIOCETHTOOL, _ETHTOOL_GET_TS_INFO = 0x8946, 0x41
_SIOCSHWTSTAMP, _SIOCGHWTSTAMP = 0x89B0, 0x89B1
_INTERFACE_NAME = 16  # IFNAMSIZ
_TS_INFO = struct.Struct("=IIi32x")  # struct ethtool_ts_info: command, stamping, index of the clock

_STAMPING = struct.Struct("=iii")  # struct hwtstamp_config: flags, departures, arrivals
_ALL_ARRIVALS, _NTP_ARRIVALS = 1, 15  # HWTSTAMP_FILTER_ALL, HWTSTAMP_FILTER_NTP_ALL

_NOT_SO = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL}
"""How a card says that it cannot be asked in this way; another way may do."""


def find_clock(device: str) -> str:
    """The path of a clock that is named by its path or by the network interface that it belongs to, such as `eth0`.

    Raises DeviceError.
    """
    if "/" in device:
        return device
    if len(device.encode()) >= _INTERFACE_NAME or "\0" in device:
        raise DeviceError(f"{device!r} is neither a path like /dev/ptp0 nor a network interface")
    try:
        info = _control_interface(device, _SIOCETHTOOL, _TS_INFO.pack(_ETHTOOL_GET_TS_INFO, 0, -1))
    except OSError as error:
        reason = "is no network interface" if error.errno == errno.ENODEV else f"says nothing: {error.strerror}"
        raise DeviceError(f"{device} {reason}; `ip link` lists what there is") from error
    _, _, index = _TS_INFO.unpack(info)
    if index < 0:
        raise DeviceError(f"{device} has no clock of its own: `ethtool -T {device}` would name it")
    return f"/dev/ptp{index}"


class ReceiveStamps:
    """A card stamps the NTP packets that it receives, or all packets, until this is closed.

    Raises DeviceError where the card cannot, or we may not.
    """

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._former: bytes | None = None
        try:
            former = self._set_up = _control_interface(interface, _SIOCGHWTSTAMP, bytes(_STAMPING.size))
            if not _stamps(former):
                self._former, self._set_up = former, self._switch_on(former)
        except OSError as error:
            right = error.errno in (errno.EPERM, errno.EACCES)
            reason = "may be set up with CAP_NET_ADMIN only" if right else f"stamps no NTP packets: {error.strerror}"
            raise DeviceError(f"{interface} {reason}") from error

    def close(self) -> None:
        """As it was before, unless somebody else has changed it meanwhile."""
        former, self._former = self._former, None
        with contextlib.suppress(OSError):  # it has gone
            if former and _control_interface(self._interface, _SIOCGHWTSTAMP, bytes(_STAMPING.size)) == self._set_up:
                _control_interface(self._interface, _SIOCSHWTSTAMP, former)

    def _switch_on(self, former: bytes) -> bytes:
        _, departures, _ = _STAMPING.unpack(former)
        try:
            return _control_interface(self._interface, _SIOCSHWTSTAMP, _STAMPING.pack(0, departures, _NTP_ARRIVALS))
        except OSError as error:
            if error.errno != errno.ERANGE:
                raise
        return _control_interface(self._interface, _SIOCSHWTSTAMP, _STAMPING.pack(0, departures, _ALL_ARRIVALS))


class PhcDevice:
    """An open /dev/ptpN. Everything raises DeviceError, with a text that says what to do, or WireError for nonsense."""

    def __init__(self, path: str, *, stamps_edges: bool = False) -> None:
        self._path = path
        try:
            self._descriptor = os.open(path, (os.O_RDWR if stamps_edges else os.O_RDONLY) | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError(_advice(path, error)) from error
        self._ways = [self._precise, self._extended, self._plain]
        self._watched: int | None = None
        try:
            self.capabilities()  # refuses whatever is no such clock
        except (DeviceError, WireError):
            self.close()
            raise

    def capabilities(self) -> PhcCapabilities:
        """What this clock can do."""
        return parse_capabilities(self._ask(PTP_CLOCK_GETCAPS, bytearray(CAPABILITIES.size)))

    @property
    def way(self) -> str:
        """How it is read, in a word."""
        return self._ways[0].__name__.removeprefix("_")

    def compare(self, samples: int) -> Sequence[CrossStamp]:
        """Read it beside the host's clock, up to `samples` times at once, in the best way that this card has."""
        while True:
            try:
                return self._ways[0](min(samples, MAX_SAMPLES))
            except OSError as error:
                if error.errno not in _NOT_SO or len(self._ways) == 1:
                    raise DeviceError(_advice(self._path, error)) from error
                del self._ways[0]

    def set_pin(self, pin: int, channel: int) -> None:
        """Make a pin the input of a channel."""
        self._ask(PTP_PIN_SETFUNC, bytearray(_PIN.pack(pin, _PIN_INPUT, channel)))

    def watch(self, channel: int, *, falling: bool = False) -> None:
        """Have the edges on a channel stamped from now on."""
        edge = _FALLING if falling else _RISING
        try:
            self._control(PTP_EXTTS_REQUEST2, bytearray(_REQUEST.pack(channel, _ENABLE | edge | _STRICT)))
        except OSError as error:
            if error.errno not in _NOT_SO:
                raise DeviceError(_advice(self._path, error)) from error
            # Too old a kernel, or a card that stamps both edges of a pulse.
            self._ask(PTP_EXTTS_REQUEST, bytearray(_REQUEST.pack(channel, _ENABLE | edge)))
        self._watched = channel

    def fileno(self) -> int:
        """For whoever waits for edges."""
        return self._descriptor

    def edges(self) -> list[Edge]:
        """Those that have come since; does not wait."""
        # The kernel's read waits whatever it is told; where another program reads the same card's edges (before
        # Linux 6.7), it may come first, and then we wait for the next one.
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        if not poll.poll(0):
            return []
        try:
            data = os.read(self._descriptor, EVENT.size * 16)
        except OSError as error:
            raise DeviceError(_advice(self._path, error)) from error
        return [parse_edge(data[at : at + EVENT.size]) for at in range(0, len(data), EVENT.size)]

    def close(self) -> None:
        """Give the device back."""
        if self._watched is not None:
            with contextlib.suppress(OSError):  # it has gone
                self._control(PTP_EXTTS_REQUEST, bytearray(_REQUEST.pack(self._watched, 0)))
        os.close(self._descriptor)

    def _precise(self, samples: int) -> Sequence[CrossStamp]:  # noqa: ARG002 - one is exact
        return [parse_precise(self._control(PTP_SYS_OFFSET_PRECISE, bytearray(PRECISE.size)))]

    def _extended(self, samples: int) -> Sequence[CrossStamp]:
        return parse_extended(self._control(PTP_SYS_OFFSET_EXTENDED, bytearray(EXTENDED.pack(samples))), samples)

    def _plain(self, samples: int) -> Sequence[CrossStamp]:
        return parse_offset(self._control(PTP_SYS_OFFSET, bytearray(OFFSET.pack(samples))), samples)

    def _ask(self, request: int, buffer: bytearray) -> bytes:
        try:
            return self._control(request, buffer)
        except OSError as error:
            raise DeviceError(_advice(self._path, error)) from error

    def _control(self, request: int, buffer: bytearray) -> bytes:
        """An ioctl that lets others run meanwhile: fcntl's does not with buffers of this size, and cards are slow."""
        view = (ctypes.c_char * len(buffer)).from_buffer(buffer)
        check(LIBC.ioctl(self._descriptor, ctypes.c_ulong(request), view), "ioctl")
        return bytes(buffer)


def _stamps(config: bytes) -> bool:
    return _STAMPING.unpack(config)[2] in (_ALL_ARRIVALS, _NTP_ARRIVALS)


def _control_interface(name: str, number: int, data: bytes) -> bytes:
    """An ioctl of a network interface that carries a structure both ways."""
    buffer = ctypes.create_string_buffer(data, len(data))
    request = struct.pack("@16sP16x", name.encode(), ctypes.addressof(buffer))  # struct ifreq
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        check(LIBC.ioctl(sock.fileno(), ctypes.c_ulong(number), request), "ioctl")
    return buffer.raw


def _advice(path: str, error: OSError) -> str:
    if error.errno in _ADVICE:
        return f"{path} {_ADVICE[error.errno]}"
    return f"{path} has gone or failed: {error.strerror}"


_ADVICE = {
    errno.ENOENT: "does not exist: `ethtool -T eth0` names the clock of a card, if its driver has one",
    errno.EACCES: "may not be opened by this user: give it to a group that the user is in, with a udev rule such as "
    '`KERNEL=="ptp0", GROUP="dialout", MODE="0660"`',
    errno.EPERM: "may not be set up by this user: it needs the right to write to it",
    errno.EBUSY: "has lent this pin or channel to another program: does ts2phc or ptp4l use it?",
    errno.ENOTTY: "is no PTP hardware clock",
    errno.EINVAL: "refuses: does it have this channel and this pin, and are they inputs?",
    errno.EOPNOTSUPP: "cannot do that: its driver stamps no edges",
}
