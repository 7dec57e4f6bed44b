"""The event loop: asyncio's own or, for simulators that replace the C library, one that needs select() alone."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ntp_usg.sysapi.environment import only_select

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """What asyncio.run does, on the event loop that the environment asks for."""
    with asyncio.Runner(loop_factory=SelectLoop if only_select() else None) as runner:
        return runner.run(main)


class SelectLoop(asyncio.SelectorEventLoop):
    """No epoll, no pipe to itself, no thread: what asyncio does in one is done on the spot, name look-ups included."""

    def __init__(self) -> None:
        self._selecting = _InterruptibleSelector()
        super().__init__(self._selecting)

    def run_in_executor(self, _executor: object, func: Callable[..., Result], *args: object) -> asyncio.Future[Result]:
        """Call it now; time stands still in a simulator until we wait, so that nobody can tell."""
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is for the caller, as it would be from a thread
            done.set_exception(error)
        return done

    # asyncio wakes itself by a pipe of its own, which a simulator does not know; the names are asyncio's.
    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        """Part of call_soon_threadsafe, which signal handlers call."""
        self._selecting.interrupt()


class _InterruptibleSelector(selectors.SelectSelector):
    """Python goes on with a select() that a signal has interrupted, unless the signal's handler raises something."""

    _waiting = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        try:
            self._waiting = True
            ready = super().select(timeout)
            self._waiting = False
        except InterruptedError:  # whatever was ready is so the next time, too
            ready = []
        return ready

    def interrupt(self) -> None:
        """Called by a signal's handler, at any time: end the wait, if there is one."""
        if self._waiting:
            self._waiting = False
            raise InterruptedError
