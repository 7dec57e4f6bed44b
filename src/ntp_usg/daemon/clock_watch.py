"""Notices that another program has set the host's clock, so that nobody has to look for it again and again."""

import asyncio
import logging
import os
from collections.abc import Callable

from ntp_usg.sysapi.clock_news import expect_news, open_clock_news

log = logging.getLogger(__name__)

SETTLE = 1.0
"""Seconds until the next news are taken in: a program that sets the clock all the time keeps us no busier than that."""


async def watch_clock(was_set: Callable[[], None]) -> None:
    """Call `was_set` whenever the clock was set or leapt, until cancelled.

    Where the kernel does not tell (a sandbox), this says so and ends.
    """
    try:
        descriptor = open_clock_news()
    except OSError as error:
        log.info("The kernel does not tell when its clock is set (%s): it is checked now and then", error.strerror)
        return
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    try:
        while True:
            readable.clear()
            loop.add_reader(descriptor, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(descriptor)
            expect_news(descriptor)
            was_set()
            await asyncio.sleep(SETTLE)
    finally:
        os.close(descriptor)
