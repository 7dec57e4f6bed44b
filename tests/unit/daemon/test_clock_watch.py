"""Hearing from the kernel that the host's clock was set: the real descriptor at rest, a pipe in its place for news."""

import asyncio
import logging
import os
import select

import pytest

from ntp_usg.daemon import clock_watch
from ntp_usg.daemon.clock_watch import watch_clock
from ntp_usg.sysapi.clock_news import expect_news, open_clock_news


def test_a_clock_that_nobody_sets_is_no_news() -> None:
    descriptor = open_clock_news()
    try:
        quiet = select.poll()
        quiet.register(descriptor, select.POLLIN)
        assert quiet.poll(50) == []
        expect_news(descriptor)
        assert quiet.poll(0) == []
    finally:
        os.close(descriptor)


def test_each_time_that_the_clock_is_set_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, kernel = os.pipe()
    monkeypatch.setattr(clock_watch, "open_clock_news", lambda: ours)
    monkeypatch.setattr(clock_watch, "expect_news", lambda descriptor: os.read(descriptor, 1))
    monkeypatch.setattr(clock_watch, "SETTLE", 0.01)
    times = []

    async def main() -> None:
        watching = asyncio.create_task(watch_clock(lambda: times.append("set")))
        for _ in range(2):
            os.write(kernel, b"!")
            await asyncio.sleep(0.1)
        watching.cancel()

    asyncio.run(main())
    os.close(kernel)
    assert times == ["set", "set"]


def test_where_the_kernel_does_not_tell_people_hear_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(clock_watch, "open_clock_news", refuse)
    with caplog.at_level(logging.INFO):
        asyncio.run(watch_clock(lambda: None))
    assert "does not tell when its clock is set (Invalid argument)" in caplog.text
