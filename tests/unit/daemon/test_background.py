"""Work for people goes on in a thread of its own, one thing after the other, at a quarter of a processor."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from functools import partial

import pytest

from ntp_usg.core.base.errors import BusyError
from ntp_usg.daemon.background import LONGEST_REST, MOST_WAITING, RESTS, SHORTEST_SECONDS, Background


class Clock:
    """Stands still but for `now`."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Rests:
    """Instead of the event that a thread waits at: writes down for how long."""

    def __init__(self):
        self.waited = []

    def wait(self, seconds):
        self.waited.append(seconds)

    def set(self):
        pass


def run(talk: Callable[[Background], Awaitable[None]], clock: Clock | None = None) -> list[float]:
    """Gives how long the thread has rested before each piece of work."""

    async def main() -> None:
        try:
            await talk(background)
        finally:
            background.close()

    background = Background(clock or Clock())
    background._closed = rests = Rests()  # type: ignore[assignment]
    asyncio.run(main())
    return rests.waited


def test_work_is_done_in_one_thread_that_is_not_the_loops():
    async def talk(background: Background) -> None:
        threads = await asyncio.gather(*(background.do(threading.get_ident) for _ in range(5)))
        assert len({*threads, threading.get_ident()}) == 2

    run(talk)


def test_the_loop_goes_on_while_work_is_done():
    async def talk(background: Background) -> None:
        free = threading.Event()
        work = asyncio.ensure_future(background.do(lambda: free.wait(10)))
        await asyncio.sleep(0)
        free.set()  # by the loop, while the work waits for it
        assert await work

    run(talk)


def test_after_long_work_the_thread_rests_in_proportion():
    clock = Clock()

    def work(seconds: float) -> None:
        clock.now += seconds

    async def talk(background: Background) -> None:
        for seconds in (0.0, 0.1, 60.0, 0.0):
            await background.do(partial(work, seconds))

    assert run(talk, clock) == pytest.approx([0.0, RESTS * SHORTEST_SECONDS, RESTS * 0.1, LONGEST_REST])


def test_too_much_work_is_refused():
    async def talk(background: Background) -> None:
        free = threading.Event()
        waiting = [asyncio.ensure_future(background.do(lambda: free.wait(10))) for _ in range(MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError):
            await background.do(bool)
        free.set()
        await asyncio.gather(*waiting)
        assert await background.do(lambda: 7) == 7

    run(talk)


def test_an_exception_is_for_who_asked_and_the_thread_goes_on():
    async def talk(background: Background) -> None:
        with pytest.raises(ZeroDivisionError):
            await background.do(lambda: 1 // 0)
        assert await background.do(lambda: 7) == 7

    run(talk)
