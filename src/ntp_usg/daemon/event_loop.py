"""The event loop: asyncio's own or, for simulators that replace the C library, one that needs select() alone."""

import asyncio
import selectors
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ntp_usg.sysapi.environment import only_select

LONGEST_WAIT = 1.0
"""Seconds until a signal is noticed at the latest: nothing interrupts select(), Python goes on with it."""

Result = TypeVar("Result")


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """What asyncio.run does, on the event loop that the environment asks for."""
    with asyncio.Runner(loop_factory=SelectLoop if only_select() else None) as runner:
        return runner.run(main)


class SelectLoop(asyncio.SelectorEventLoop):
    """No epoll, no pipe to itself, no thread: what asyncio does in one is done on the spot, name look-ups included."""

    def __init__(self) -> None:
        super().__init__(_ImpatientSelector())

    def run_in_executor(self, _executor: object, func: Callable[..., Result], *args: object) -> asyncio.Future[Result]:
        """Call it now; time stands still in a simulator until we wait, so that nobody can tell."""
        done: asyncio.Future[Result] = self.create_future()
        try:
            done.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is for the caller, as it would be from a thread
            done.set_exception(error)
        return done

    def add_signal_handler(self, sig: int, callback: Callable[..., object], *args: object) -> None:
        def on_signal(*_: object) -> None:
            self.call_soon(callback, *args)

        signal.signal(sig, on_signal)

    def remove_signal_handler(self, sig: int) -> bool:
        signal.signal(sig, signal.SIG_DFL)
        return True

    # asyncio wakes itself by a pipe of its own, which a simulator does not know; the names are asyncio's.
    def _make_self_pipe(self) -> None:
        pass

    def _close_self_pipe(self) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


class _ImpatientSelector(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        return super().select(LONGEST_WAIT if timeout is None else min(timeout, LONGEST_WAIT))
