"""Takes in connections, with room for newcomers and at a pace that leaves the event loop to its work.

asyncio's own accept loop neither limits connections nor backs off: out of descriptors it tries, and logs, a hundred
times in a row (Python 3.11 to 3.13).
"""

import asyncio
import contextlib
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable

ACCEPTS_AT_ONCE = 8
PAUSE_SECONDS = 0.05
"""After so many at once; both bound what a flood of connections costs."""
RETRY_SECONDS = 1.0
BACKLOG = 128

log = logging.getLogger(__name__)


class Connection(asyncio.Protocol):
    """One that has been taken in."""

    @property
    def idle(self) -> bool:
        """Whether it is there, and has not asked for anything yet."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close it now."""
        raise NotImplementedError


class Listener:
    """Connections of one socket, of which at most `most` are open: a new one takes the place of one that is idle.

    `make` makes the protocol of a connection, which tells `ended` when it is lost.
    """

    def __init__(self, endpoint: socket.socket, make: Callable[[], Connection], most: int) -> None:
        self.endpoint = endpoint
        self._make = make
        self._most = most
        self._loop = asyncio.get_running_loop()
        self._open: dict[Connection, str] = {}
        """By age, the oldest first, with the address of the other end."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._reserve: int | None = None
        endpoint.settimeout(0)
        endpoint.listen(BACKLOG)
        self._resume()

    def close(self) -> None:
        """Take in nothing more, and end what is open; a second time does nothing."""
        if self.endpoint.fileno() < 0:
            return
        self._pause(None)
        self.endpoint.close()
        for task in self._tasks:
            task.cancel()
        for connection in list(self._open):
            connection.abort()
        self._spend_reserve()

    def ended(self, connection: Connection) -> None:
        """Forget a connection."""
        self._open.pop(connection, None)

    def _resume(self) -> None:
        if self._reserve is None:
            with contextlib.suppress(OSError):
                self._reserve = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._loop.add_reader(self.endpoint, self._accept_some)

    def _pause(self, seconds: float | None) -> None:
        """For so long, or for ever."""
        self._loop.remove_reader(self.endpoint)
        if self._timer:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._resume)

    def _accept_some(self) -> None:
        for _ in range(ACCEPTS_AT_ONCE):
            try:
                accepted, address = self.endpoint.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._starve(error)
                return
            self._take_in(accepted, address[0] if isinstance(address, tuple) else "")
        self._pause(PAUSE_SECONDS)

    def _take_in(self, accepted: socket.socket, address: str) -> None:
        if len(self._open) >= self._most and not self._make_room():
            accepted.close()
            return
        connection = self._make()
        self._open[connection] = address
        task = self._loop.create_task(self._connect(accepted, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, accepted: socket.socket, connection: Connection) -> None:
        accepted.settimeout(0)
        try:
            await self._loop.connect_accepted_socket(lambda: connection, accepted)
        except BaseException:
            accepted.close()
            self.ended(connection)
            raise

    def _make_room(self) -> bool:
        """End an idle connection: the oldest of the address that has most of them."""
        idle = {connection: address for connection, address in self._open.items() if connection.idle}
        if not idle:
            return False
        [(greedy, _)] = Counter(idle.values()).most_common(1)
        oldest = next(connection for connection, address in idle.items() if address == greedy)
        oldest.abort()
        self.ended(oldest)
        return True

    def _starve(self, error: OSError) -> None:
        """No descriptor or no memory for one more: end an idle connection, or use up the reserve, or wait."""
        log.warning("HTTP: cannot take in a connection: %s; raise LimitNOFILE= if this goes on", error.strerror)
        if not self._make_room() and not self._spend_reserve():
            self._pause(RETRY_SECONDS)

    def _spend_reserve(self) -> bool:
        if self._reserve is None:
            return False
        os.close(self._reserve)
        self._reserve = None
        return True
