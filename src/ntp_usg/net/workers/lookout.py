"""Finds workers that hang (a stopped process closes no channel), and lets everybody sleep while there is nothing to do.

A beat is due from a worker while requests wait for it, and after it was asked for one. While none is due nobody looks:
the first request wakes us together with the worker, and whoever wants to know how the workers are has them asked.
"""

import asyncio
import select
import socket
from collections.abc import Callable, Iterable, Sequence

from ntp_usg.net.workers.link import WorkerLink

LOOK_SECONDS, MISSED = 0.04, 3
"""How often we look while a beat is due, and after so many looks without one a worker is replaced."""
MISSED_BY_SPARE = 45
"""The same of a spare, which nobody waits for (1.8 s)."""
MISSED_ALONE = 250
"""The same where nobody could take over (10 s)."""
ASK_SECONDS = 300.0
"""So often all are asked for a beat, so that a spare that hangs is found before it is needed."""

Watched = tuple[WorkerLink | None, Sequence[WorkerLink]]
"""The worker that serves our sockets, where there is one, and those that could take over."""


class Lookout:
    """Looks after the workers of one set of sockets; `on_hang` is called with each that has to be replaced."""

    def __init__(self, watched: Callable[[], Watched], on_hang: Callable[[WorkerLink], None]) -> None:
        self._watched = watched
        self._on_hang = on_hang
        self._loop = asyncio.get_running_loop()
        self._endpoints: Sequence[socket.socket] = ()
        self._requests = select.poll()
        self._looked_at = 0.0
        self._next_look: asyncio.TimerHandle | None = None
        self._next_ask = self._loop.call_later(ASK_SECONDS, self._ask_regularly)

    def turn_to(self, endpoints: Sequence[socket.socket]) -> None:
        """Watch these sockets from now on; call this before others are closed."""
        self._leave_sockets()
        self._endpoints, self._requests = endpoints, select.poll()
        for endpoint in endpoints:
            self._requests.register(endpoint, select.POLLIN)
        self.begin()

    def close(self) -> None:
        """Look no more; the sockets may then be closed."""
        self._leave_sockets()
        self._next_ask.cancel()
        if self._next_look is not None:
            self._next_look.cancel()

    def ask(self) -> None:
        """Have all show that they live: a moment later it is known who does."""
        serving, spares = self._watched()
        _ask([serving, *spares] if serving is not None else spares)
        self.begin()

    def begin(self) -> None:
        """Look from now on, until nothing is due any more."""
        if self._next_look is None:
            self._leave_sockets()
            self._looked_at = self._loop.time()
            self._next_look = self._loop.call_later(LOOK_SECONDS, self._look)

    def _ask_regularly(self) -> None:
        self.ask()
        self._next_ask = self._loop.call_later(ASK_SECONDS, self._ask_regularly)

    def _look(self) -> None:
        now, requests = self._loop.time(), bool(self._requests.poll(0))
        punctual = _punctual(now - self._looked_at)
        self._looked_at = now
        serving, spares = self._watched()
        links = [link for link in (serving, *spares) if link is not None and link.ready.done()]
        again = [link.look(punctual=punctual, has_requests=requests and link is serving) for link in links]
        if serving is not None and serving.watch.missed == 1:
            _ask(spares)  # who could take over?
        for link in links:
            able = any(other.usable and not other.watch.missed for other in spares if other is not link)
            patience = MISSED if link is serving else MISSED_BY_SPARE
            if link.watch.missed >= (patience if able else MISSED_ALONE):
                self._on_hang(link)
        if any(again):
            self._next_look = self._loop.call_later(LOOK_SECONDS, self._look)
        else:
            self._rest(serving)

    def _rest(self, serving: WorkerLink | None) -> None:
        """Until a request comes; where nobody serves, until somebody does."""
        self._next_look = None
        for endpoint in self._endpoints if serving is not None else ():
            self._loop.add_reader(endpoint, self.begin)

    def _leave_sockets(self) -> None:
        for endpoint in self._endpoints:
            self._loop.remove_reader(endpoint)


def _punctual(elapsed: float) -> bool:
    """Whether a look comes in time; else it is the machine that is busy."""
    return elapsed < 1.5 * LOOK_SECONDS


def _ask(links: Iterable[WorkerLink]) -> None:
    for link in links:
        if link.usable:
            link.ask_for_beat()
