"""Notices that the network has come (back), so that servers need not wait for their next poll."""

import asyncio
import logging
import time
from collections.abc import Callable

from ntp_usg.sysapi.network_news import network_came, open_network_news

log = logging.getLogger(__name__)

SETTLE = 1.0
"""Seconds in which news are gathered: a cable that is plugged in brings several at once."""
BURST = 4
"""So many times in a row we react at once: to a carrier, an address from RA, one from DHCP, a route ..."""
SPACING = 16.0
"""... and then once in so many seconds, on a router that learns routes all the time."""


class Pace:
    """How long to gather news until the next reaction: a bucket of BURST, one more every SPACING."""

    def __init__(self) -> None:
        self._full_at = 0.0

    def pause(self, now: float) -> float:
        """Seconds to wait after a reaction at `now`."""
        self._full_at = max(self._full_at, now) + SPACING
        return max(SETTLE, self._full_at - now - (BURST - 1) * SPACING)


async def watch_network(returned: Callable[[], None]) -> None:
    """Call `returned` whenever an interface, an address or a route has come, until cancelled.

    Where the kernel does not tell (a sandbox without netlink), this says so and ends.
    """
    try:
        endpoint = open_network_news()
    except OSError as error:
        log.info("The kernel does not tell of network changes (%s): servers wait for their next poll", error.strerror)
        return
    loop, pace = asyncio.get_running_loop(), Pace()
    readable = asyncio.Event()
    with endpoint:
        while True:
            readable.clear()
            loop.add_reader(endpoint, readable.set)
            try:
                await readable.wait()
            finally:
                loop.remove_reader(endpoint)
            came = network_came(endpoint)
            if came:
                returned()
            await asyncio.sleep(pace.pause(time.monotonic()) if came else SETTLE)
