"""However a part ends, nothing that it started outlives it, and an error is told."""

import asyncio

import pytest

from ntp_usg.daemon import tasks
from ntp_usg.daemon.tasks import run_together, run_until


async def forever(log: list[str], name: str = "ended") -> None:
    try:
        await asyncio.Event().wait()
    finally:
        log.append(name)


async def fail() -> None:
    await asyncio.sleep(0)
    raise ZeroDivisionError


async def overlook(log: list[str]) -> None:
    """Swallow the first cancellation, as `wait_for` of Python 3.11 can."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        log.append("overlooked")
    await forever(log)


def stop_soon() -> asyncio.Event:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, stop.set)
    return stop


def test_work_is_cancelled_when_told_to_stop():
    async def main():
        log: list[str] = []
        await run_until(stop_soon(), forever(log))
        assert log == ["ended"]

    asyncio.run(main())


def test_work_that_was_told_to_stop_before_it_began_ends_at_once():
    async def main():
        stop = asyncio.Event()
        stop.set()
        log: list[str] = []
        await run_until(stop, forever(log))
        assert log == ["ended"]

    asyncio.run(main())


def test_an_error_of_the_work_is_raised_also_while_it_cleans_up():
    async def clean_up_badly():
        try:
            await asyncio.Event().wait()
        finally:
            await fail()

    async def main():
        with pytest.raises(ZeroDivisionError):
            await run_until(asyncio.Event(), fail())
        with pytest.raises(ZeroDivisionError):
            await run_until(stop_soon(), clean_up_badly())

    asyncio.run(main())


def test_when_one_fails_the_others_end_and_its_error_is_raised():
    async def main():
        log: list[str] = []
        with pytest.raises(ZeroDivisionError):
            await run_together([forever(log, "first"), fail(), forever(log, "second")])
        assert log == ["first", "second"]

    asyncio.run(main())


def test_one_that_comes_to_its_end_ends_no_other():
    async def main():
        log: list[str] = []
        await run_until(stop_soon(), run_together([asyncio.sleep(0), forever(log)]))
        assert log == ["ended"]

    asyncio.run(main())


def test_a_task_that_overlooks_its_cancellation_is_cancelled_again(monkeypatch):
    monkeypatch.setattr(tasks, "PATIENCE", 0.01)

    async def main():
        log: list[str] = []
        async with asyncio.timeout(10):
            await run_until(stop_soon(), run_together([overlook(log)]))
        assert log == ["overlooked", "ended"]

    asyncio.run(main())
