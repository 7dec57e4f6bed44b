"""A unix datagram socket to which other programs send what they observe."""

import asyncio
import contextlib
import errno
import os
import socket
from pathlib import Path

from ntp_usg.core.base.errors import DeviceError


class DatagramSocket:
    """Bound by us and removed by `close`; raises DeviceError where that is not possible."""

    def __init__(self, path: Path, purpose: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            if path.is_socket():
                self._refuse_if_in_use()
                path.unlink()  # left behind by a program that was killed
            os.fchmod(self._socket.fileno(), 0o600)  # whoever may write here sets the clock, from its first moment on
            self._socket.bind(str(path))
        except OSError as error:
            self._socket.close()
            raise DeviceError(f"{path} cannot be opened as a socket for {purpose}: {error.strerror}") from error

    @property
    def exists(self) -> bool:
        """Whether others still find it at its path."""
        return self._path.is_socket()

    async def receive(self, size: int) -> bytes:
        """The next datagram, cut off after `size` bytes."""
        await asyncio.sleep(0)  # a sender that never pauses must not keep everybody else waiting
        return await asyncio.get_running_loop().sock_recv(self._socket, size)

    def close(self) -> None:
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _refuse_if_in_use(self) -> None:
        with contextlib.suppress(ConnectionRefusedError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.connect(str(self._path))
            raise OSError(errno.EADDRINUSE, "another program uses it")
