"""One thread for what people ask: however long that takes, the loop that keeps time goes on."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ntp_usg.core.base.errors import BusyError

Result = TypeVar("Result")

MOST_WAITING = 64
SWITCH_SECONDS = 0.0005
"""The thread lets the loop run after this; Python's usual 5 ms would delay each pulse."""
SHORTEST_SECONDS = 0.001
"""An answer counts as so long at least: the loop, too, has some work with each."""
RESTS = 3
"""After each answer the thread rests so many times as long as that took: a quarter of one processor at most."""
LONGEST_REST = 1.0


class Background:
    """Does one thing after the other, at its own pace."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._thread = ThreadPoolExecutor(1, "background")
        self._closed = threading.Event()
        self._rested_at = 0.0
        self._waiting = 0
        sys.setswitchinterval(SWITCH_SECONDS)

    async def do(self, work: Callable[[], Result]) -> Result:
        """What `work` returns or raises, done in the thread. Raises BusyError where too many wait."""
        if self._waiting >= MOST_WAITING:
            raise BusyError("too many ask at once: try again in a moment")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, self._paced, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Begin nothing more."""
        self._closed.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _paced(self, work: Callable[[], Result]) -> Result:
        self._closed.wait(max(0.0, self._rested_at - self._monotonic()))
        started = self._monotonic()
        try:
            return work()
        finally:
            took = self._monotonic() - started
            self._rested_at = started + took + min(LONGEST_REST, RESTS * max(took, SHORTEST_SECONDS))
