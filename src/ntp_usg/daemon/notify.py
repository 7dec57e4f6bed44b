"""The service manager's side of systemd.service(5) Type=notify: READY, STATUS, WATCHDOG, STOPPING."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

STATUS_SECONDS = 15.0
"""A status that has changed is told after so long at the latest."""


def notify(message: str) -> None:
    """Send one sd_notify(3) message; without a service manager this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
        except OSError:
            return  # a service manager that does not listen is no reason to stop serving time


def watchdog_interval() -> float | None:
    """Seconds between signs of life: half of what the service manager allows, None where it does not watch."""
    allowed_us = os.environ.get("WATCHDOG_USEC", "")
    addressed = os.environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(allowed_us) / 2e6 if allowed_us.isdigit() and int(allowed_us) > 0 and addressed else None


class ServiceManager:
    """Hears in time that we live, and what our status is when that has changed; `status` makes the line for people."""

    def __init__(self, status: Callable[[], str]) -> None:
        self._status = status
        self._told = ""
        self._standing: object = None
        self._news = asyncio.Event()

    def look(self, standing: object) -> None:
        """Tell the status at once if this, the part of it that people wait for, is not what it was."""
        if standing != self._standing:
            self._standing = standing
            self._news.set()

    async def inform(self) -> None:
        """Do so until cancelled; without a service manager this ends, and no status is made."""
        interval = min(watchdog_interval() or STATUS_SECONDS, STATUS_SECONDS)
        while os.environ.get("NOTIFY_SOCKET"):
            status = self._status()
            news = [f"STATUS={status}"] if status != self._told else []
            self._told = status
            notify("\n".join(["WATCHDOG=1", *news]))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._news.wait()
            self._news.clear()
