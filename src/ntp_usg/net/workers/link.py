"""One worker process as control sees it: the channel to it, its heartbeat, and how it ended."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Sequence

from ntp_usg.net.workers.channel import MAX_MESSAGE, Kind
from ntp_usg.net.workers.shared import Heartbeat, create_heartbeat_memory
from ntp_usg.sysapi.sealed_memory import create_memory

MOST_EXCUSED = 250
"""Looks (10 s) for which a worker may announce that its next beat takes long."""
ASIDE_SECONDS = 20.0
"""How long a worker that does not respond may live on."""
_MESSAGES_AT_ONCE = 64
_STDERR_BYTES = 65536
_LAST_WORDS = 2000
_DYING_SECONDS, _DYING_LOOK = 1.0, 0.01
"""How long a worker may take from closing its channel to its end, and how often we look; it needs some milliseconds."""
_HELD_BACK = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


class Watch:
    """Looks at a heartbeat; `missed`: how many looks in a row have seen no beat though one was due."""

    def __init__(self, heartbeat: Heartbeat) -> None:
        self._heartbeat = heartbeat
        self._beats = self._excused = self.missed = 0
        self.beats = False
        """Whether the latest look has seen a new beat."""

    def look(self, *, punctual: bool, due: bool = True) -> None:
        """Look once more; a beat is due from a worker that has something to do.

        A look that comes late tells nothing, and a worker may announce that a beat takes long.
        """
        beats = self._heartbeat.count
        self.beats = beats != self._beats
        if self.beats or not punctual or not due:
            self.missed = self._excused = 0
        elif self._heartbeat.busy and self._excused < MOST_EXCUSED:
            self._excused += 1
        else:
            self.missed += 1
        self._beats = beats


class WorkerLink:
    """Starts a worker; raises OSError where none can start.

    Futures: `ready` is for the owner to set; `lost` is set when the worker can no longer be relied on; `gone` when its
    process has ended, and says how.
    """

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
        self.serves = False
        self.asked = False
        """Whether it was asked for a beat that has not come yet."""
        self._verdict = ""
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.gone: asyncio.Future[str] = self._loop.create_future()
        with contextlib.ExitStack() as undo:
            self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(self._channel.close)
            # Memory, not a pipe: it needs no reading, keeps what was said until the end, and cannot be made larger.
            self._stderr = create_memory("ntp_usg worker stderr", _STDERR_BYTES)
            undo.callback(os.close, self._stderr)
            heartbeat = create_heartbeat_memory()
            self.watch = Watch(Heartbeat(heartbeat))
            try:
                inherited = [*memories, heartbeat, theirs.fileno(), *(each.fileno() for each in endpoints)]
                self._process = self._start([*account, *inherited], inherited)
            finally:
                theirs.close()
                os.close(heartbeat)
            undo.pop_all()
        self._channel.settimeout(0)
        self._loop.add_reader(self._channel, self._read)

    def _start(self, arguments: Sequence[int], inherited: Sequence[int]) -> subprocess.Popen[bytes]:
        # The worker begins with these signals blocked: none ends it before it has said what to do about them.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD_BACK)
        try:
            return subprocess.Popen(  # noqa: S603 - our own interpreter, and numbers
                # -P: the directory that the daemon happens to be started in is no place to find modules.
                [sys.executable, "-P", "-m", "ntp_usg.net.workers.process", *map(str, arguments)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                pass_fds=inherited,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def usable(self) -> bool:
        """Whether it serves, or could."""
        return self.ready.done() and not self.lost.done()

    @property
    def congested(self) -> bool:
        """Whether the worker is behind with what it was sent: what can be spared should not be added."""
        return bool(self._outbox)

    def send(self, *messages: bytes) -> None:
        """Send in order, as soon as the worker takes them; to a dead worker they are lost."""
        self._outbox.extend(messages)
        self._flush()

    def ask_for_beat(self) -> None:
        """Have the worker show that it lives, unless it was asked and has not done so yet."""
        if not self.asked:
            self.watch.look(punctual=True, due=False)  # earlier beats do not count
            self.asked = True
            self.send(bytes([Kind.BEAT]))

    def look(self, *, punctual: bool, has_requests: bool) -> bool:
        """Look at its heartbeat; whether to look again: a beat is due, or it has work and may get more."""
        asked = self.asked
        self.watch.look(punctual=punctual, due=asked or has_requests)
        self.asked = asked and not self.watch.beats
        return self.asked or has_requests or (self.watch.beats and not asked)

    def stop(self) -> None:
        """Ask the worker to end."""
        self.send(bytes([Kind.STOP]))

    def set_aside(self) -> None:
        """Rely on it no longer, and give it time to end: it may only be late, or somebody may want to look at it."""
        self.stop()
        self._loop.call_later(ASIDE_SECONDS, self._process.kill)
        self._lose()

    def kill(self, verdict: str = "") -> None:
        """End it at once, and rely on it no longer; `verdict` says why."""
        self._verdict = verdict
        self._process.kill()
        self._lose()

    def _lose(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    def _flush(self) -> None:
        try:
            while self._outbox:
                self._channel.send(self._outbox[0])
                self._outbox.popleft()
        except BlockingIOError:
            self._loop.add_writer(self._channel, self._flush)
            return
        except OSError:  # it is going, as `_read` will hear, or gone
            self._outbox.clear()
        if self._channel.fileno() >= 0:
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
                self._loop.remove_reader(self._channel)
                self._loop.remove_writer(self._channel)
                self._channel.close()
                self._lose()
                self._reap(self._loop.time() + _DYING_SECONDS)
                return
            self._on_message(self, message)

    def _reap(self, deadline: float) -> None:
        """Wait for the end of a worker that has closed its channel, without keeping the loop from its work."""
        status = self._process.poll()
        if status is None:
            if self._loop.time() > deadline:
                self._process.kill()
            self._loop.call_later(_DYING_LOOK, self._reap, deadline)
            return
        said = os.pread(self._stderr, _STDERR_BYTES, 0).rstrip(b"\0")
        last_words = said[-_LAST_WORDS:].decode(errors="replace").strip()
        os.close(self._stderr)
        how = self._verdict or (f"killed by signal {-status}" if status < 0 else f"exit status {status}")
        self.gone.set_result(f"{how}\n{last_words}" if last_words else how)
