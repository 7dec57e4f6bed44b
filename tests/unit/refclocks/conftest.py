"""A context that remembers, and a serial line whose far end the test holds."""

import asyncio
import contextlib
import os
import termios
import time
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import DeviceStatus, Fix, Measurement, Pulse, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.autobaud import USUAL_RATES
from ntp_usg.refclocks import driver as driver_module
from ntp_usg.refclocks.driver import Driver


class Recorder:
    """Implements refclocks.driver.Context."""

    def __init__(self) -> None:
        self.messages: list[TimeMessage] = []
        self.pulses: list[Pulse] = []
        self.fixes: list[Fix] = []
        self.corrections: list[PulseCorrection] = []
        self.samples: list[Measurement] = []
        self.receptions: list[Reception] = []
        self.statuses: list[DeviceStatus] = []
        self.verdicts: list[Verdict] = []
        self._news = asyncio.Event()

    def message(self, message: TimeMessage) -> None:
        self._keep(self.messages, message)

    def pulse(self, pulse: Pulse) -> None:
        self._keep(self.pulses, pulse)

    def correction(self, correction: PulseCorrection) -> None:
        self._keep(self.corrections, correction)

    def reception(self, reception: Reception) -> None:
        self._keep(self.receptions, reception)

    def sample(self, measurement: Measurement) -> None:
        self._keep(self.samples, measurement)

    def fix(self, fix: Fix) -> None:
        self._keep(self.fixes, fix)

    def status(self, status: DeviceStatus) -> None:
        self._keep(self.statuses, status)

    def verdict(self, verdict: Verdict) -> None:
        self._keep(self.verdicts, verdict)

    def now(self) -> HostNs:
        return HostNs(time.time_ns())

    def _keep(self, kept: list[Any], news: object) -> None:
        kept.append(news)
        self._news.set()

    @contextlib.asynccontextmanager
    async def watching(self, driver: Driver) -> AsyncIterator[None]:
        """Run a driver meanwhile."""
        task = asyncio.create_task(driver.run(self))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something that was reported makes the condition true."""
        async with asyncio.timeout(5):
            while not condition():
                self._news.clear()
                await self._news.wait()


SPEEDS = {getattr(termios, f"B{rate}"): rate for rate in USUAL_RATES}


class FarEnd:
    """A pseudo-terminal behind a stable path."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self._master: int | None = None

    def plug(self) -> None:
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.link.symlink_to(os.ttyname(slave))
        os.close(slave)

    def unplug(self) -> None:
        if self._master is not None:
            os.close(self._master)
            self._master = None
            self.link.unlink()

    @property
    def speed(self) -> int:
        """What the driver has set the line to, in baud."""
        assert self._master is not None
        return SPEEDS[termios.tcgetattr(self._master)[5]]

    def say(self, data: bytes) -> None:
        assert self._master is not None
        os.write(self._master, data)

    async def hear(self, count: int) -> bytes:
        """The next bytes that the driver writes."""
        assert self._master is not None
        heard = b""
        async with asyncio.timeout(5):
            while len(heard) < count:
                heard += await asyncio.to_thread(os.read, self._master, count - len(heard))
        return heard


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[FarEnd]:
    line = FarEnd(tmp_path / "gps")
    line.plug()
    yield line
    line.unplug()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lost devices are opened again at once."""
    monkeypatch.setattr(driver_module, "REOPEN_SECONDS", 0.01)
