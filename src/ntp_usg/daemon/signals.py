"""SIGTERM, SIGINT and SIGHUP, from the first line of the process to its last: none is lost, and none kills it.

Imports next to nothing: before `catch` a signal still ends the process, and the daemon's own imports take a second.
"""

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
CAUGHT = (*STOP_SIGNALS, signal.SIGHUP)


class Signals:
    """Remembers each signal until somebody has said by `on` what to do about it."""

    def __init__(self) -> None:
        self._arrived: set[int] = set()
        self._actions: dict[int, Callable[[], object]] = {}
        self._wake: Callable[[], object] = lambda: None

    def catch(self) -> None:
        """Take the signals from now on; only the main thread may call this."""
        for number in CAUGHT:
            signal.signal(number, self._arrive)

    def ignore(self) -> None:
        """For the last moments of the process, in which the interpreter gives up its handlers."""
        for number in CAUGHT:
            signal.signal(number, signal.SIG_IGN)

    def on(self, number: signal.Signals, action: Callable[[], object]) -> None:
        """Do this whenever the signal comes, and at once if it has come before."""
        self._actions[number] = action
        self._act()

    @contextmanager
    def wake(self, loop: "AbstractEventLoop", *, by_descriptor: bool) -> Iterator[None]:
        """Within this, a signal ends the loop's wait.

        The kernel may interrupt another thread than the waiting one: `by_descriptor` the loop hears of that, too.
        """
        self._wake = lambda: loop.call_soon_threadsafe(self._act)
        try:
            if by_descriptor:
                with _wakeup_descriptor(loop):
                    yield
            else:
                yield
        finally:
            self._wake = lambda: None

    def _arrive(self, number: int, _frame: object) -> None:
        self._arrived.add(number)
        self._wake()

    def _act(self) -> None:
        for number in self._arrived & self._actions.keys():
            self._arrived.discard(number)
            self._actions[number]()


@contextmanager
def _wakeup_descriptor(loop: "AbstractEventLoop") -> Iterator[None]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        for end in ours, theirs:
            end.settimeout(0)
        loop.add_reader(ours, lambda: ours.recv(4096))
        before = signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before)
            loop.remove_reader(ours)
