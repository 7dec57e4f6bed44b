"""A receiver's serial line on the event loop, without threads."""

import asyncio
import contextlib
import errno
import os
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from serial import Serial

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs

_CHUNK = 4096
MOST_UNSENT = 16_384
"""Bytes that wait for a line that is slow, or takes none at all."""
_PTY_MAJORS = range(136, 144)
"""Of the far ends of pseudo-terminals (Linux, admin-guide/devices.rst)."""


@dataclass(frozen=True, slots=True)
class CharacterFormat:
    """How a byte goes over the line."""

    data_bits: int = 8
    parity: str = "none"
    stop_bits: int = 1

    def __str__(self) -> str:
        """As in data sheets: `8N1`."""
        return f"{self.data_bits}{self.parity[:1].upper()}{self.stop_bits}"


class SerialLine:
    """An open tty, exclusively ours. Raises DeviceError, with a text that says what to do."""

    def __init__(
        self, device: str, baud_rate: int, now: Callable[[], HostNs], form: CharacterFormat = CharacterFormat()
    ) -> None:
        self._device = device
        self._now = now
        self._unsent = b""
        try:
            if os.major(Path(device).stat().st_rdev) in _PTY_MAJORS:
                form = CharacterFormat()  # a pty carries bytes, not bits: it refuses any other
            # A timeout of 0 keeps the descriptor non-blocking; pyserial drops what was received before now.
            self._serial = Serial(
                device, baud_rate, form.data_bits, form.parity[:1].upper(), form.stop_bits, timeout=0, exclusive=True
            )
        except (OSError, ValueError, termios.error) as error:
            raise DeviceError(_advice(device, error)) from error
        self._descriptor: int = self._serial.fileno()
        # Without it a USB adapter may sit on bytes for 16 ms. Not every line has such a mode, and a pty has none.
        with contextlib.suppress(ValueError, OSError):
            self._serial.set_low_latency_mode(True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._unsent:
            asyncio.get_running_loop().remove_writer(self._descriptor)
        self._serial.close()

    def set_speed(self, baud_rate: int) -> None:
        """Listen and speak at another speed; what came at the one before is dropped."""
        try:
            self._serial.baudrate = baud_rate
            self._serial.reset_input_buffer()
        except (OSError, ValueError, termios.error) as error:
            raise DeviceError(_advice(self._device, error)) from error

    async def read(self) -> tuple[bytes, HostNs]:
        """The next bytes, at least one, and when they woke us. May be cancelled without loss."""
        while True:
            received_at = await self._readable()
            try:
                data = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                continue  # another program reads the line too, and was faster
            except OSError as error:
                raise DeviceError(_advice(self._device, error)) from error
            if not data:
                raise DeviceError(f"{self._device} {_UNPLUGGED}")
            return data, received_at

    def write(self, data: bytes) -> None:
        """Say something to the receiver as soon as the line has room; raises DeviceError for a line that is gone.

        Nobody waits for it, so that a receiver that takes nothing can still be heard. What a full queue has no room for
        is dropped: who gets no answer asks again.
        """
        if len(self._unsent) + len(data) <= MOST_UNSENT:
            self._unsent += data
        try:
            self._send()
        except OSError as error:
            raise DeviceError(_advice(self._device, error)) from error

    def _send(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
        loop = asyncio.get_running_loop()
        if self._unsent:
            loop.add_writer(self._descriptor, self._send_more)
        else:
            loop.remove_writer(self._descriptor)

    def _send_more(self) -> None:
        try:
            self._send()
        except OSError:  # whoever reads from the line notices it, too
            self._unsent = b""
            asyncio.get_running_loop().remove_writer(self._descriptor)

    async def _readable(self) -> HostNs:
        loop = asyncio.get_running_loop()
        woken: asyncio.Future[HostNs] = loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(self._now())

        loop.add_reader(self._descriptor, wake)
        try:
            return await woken
        finally:
            loop.remove_reader(self._descriptor)


_UNPLUGGED = "hung up: was the receiver unplugged?"
_HELD = "is held by another program: is gpsd or a second ntp_usg_server running?"
_ADVICE: dict[int | None, str] = {
    errno.ENOENT: "does not exist: is the receiver plugged in?",
    errno.EACCES: "may not be opened by this user: add the user to group dialout (`usermod -a -G dialout USER`)",
    errno.EBUSY: _HELD,
    errno.EWOULDBLOCK: _HELD,
    errno.EIO: _UNPLUGGED,
    errno.ENODEV: _UNPLUGGED,
    errno.ENXIO: _UNPLUGGED,
    errno.ENOTTY: "is not a serial line: name the receiver's, such as /dev/ttyAMA0 or /dev/ttyUSB0",
}


def _advice(device: str, error: Exception) -> str:
    return f"{device} {_ADVICE.get(_number(error)) or f'cannot be used: {error}'}"


def _number(error: BaseException) -> int | None:
    """The errno of an error; pyserial wraps those of termios, which have theirs elsewhere."""
    cause = error.__context__ if isinstance(error.__context__, termios.error) else error
    return cause.args[0] if isinstance(cause, termios.error) else getattr(error, "errno", None)
