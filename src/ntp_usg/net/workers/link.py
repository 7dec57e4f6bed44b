"""One running worker process as control sees it: the channel to it, and how it ended."""

import asyncio
import contextlib
import fcntl
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence

from ntp_usg.net.workers.channel import MAX_MESSAGE

_MESSAGES_AT_ONCE = 64
_LAST_WORDS = 2000
STDERR_BYTES = 65536
_DYING_SECONDS = 1.0
"""How long a worker may take from closing its channel to its end; it needs some milliseconds, and control waits."""


class WorkerLink:
    """Starts a worker; `ready` is for its owner, `ended` will say how it ended. Raises OSError where none can start."""

    def __init__(
        self,
        account: tuple[int, int],
        memories: Sequence[int],
        endpoints: Sequence[socket.socket],
        on_message: Callable[["WorkerLink", bytes], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_message = on_message
        self._outbox: deque[bytes] = deque()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.ended: asyncio.Future[str] = self._loop.create_future()
        with contextlib.ExitStack() as undo:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._channel.close)
            self._stderr = bounded_memory()
            undo.callback(os.close, self._stderr)
            with theirs:
                inherited = [*memories, theirs.fileno(), *(endpoint.fileno() for endpoint in endpoints)]
                self._process = self._start([*account, *inherited], inherited)
            undo.pop_all()
        self._channel.settimeout(0)
        self._loop.add_reader(self._channel, self._read)

    def _start(self, arguments: Sequence[int], inherited: Sequence[int]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter, and numbers
            # -P: the directory that the daemon happens to be started in is no place to find modules.
            [sys.executable, "-P", "-m", "ntp_usg.net.workers.process", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            pass_fds=inherited,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def congested(self) -> bool:
        """Whether the worker is behind with what it was sent: what can be spared should not be added."""
        return bool(self._outbox)

    def send(self, *messages: bytes) -> None:
        """Send in order, as soon as the worker takes them; to a dead worker they are lost."""
        self._outbox.extend(messages)
        self._flush()

    def close(self) -> None:
        """Ask the worker to end."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_WR)

    def kill(self) -> None:
        self._process.kill()

    def _flush(self) -> None:
        try:
            while self._outbox:
                self._channel.send(self._outbox[0])
                self._outbox.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._channel, self._flush)
            return
        except OSError:  # it is gone, as `_read` will hear
            self._outbox.clear()
        if not self.ended.done():
            self._loop.remove_writer(self._channel)

    def _read(self) -> None:
        for _ in range(_MESSAGES_AT_ONCE):
            try:
                message = self._channel.recv(MAX_MESSAGE)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message = b""
            if not message:
                self._end()
                return
            self._on_message(self, message)

    def _end(self) -> None:
        self._loop.remove_reader(self._channel)
        self._loop.remove_writer(self._channel)
        self._channel.close()
        try:
            status = self._process.wait(_DYING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        said = os.pread(self._stderr, STDERR_BYTES, 0).rstrip(b"\0")
        last_words = said[-_LAST_WORDS:].decode(errors="replace").strip()
        os.close(self._stderr)
        how = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
        self.ended.set_result(f"{how}\n{last_words}" if last_words else how)


def bounded_memory() -> int:
    """Memory for what a worker says: it needs no reading, keeps what was said at the end, and can't be made larger."""
    memory = os.memfd_create("ntp_usg worker stderr", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, STDERR_BYTES)
    fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return memory
