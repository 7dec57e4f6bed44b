"""The real-time clock that goes on while the machine is off: a first time, until there is a better one."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, FiniteFloat

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs, seconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.core.receivers.readings import IMPLAUSIBLE, judge_reading
from ntp_usg.core.receivers.rtc import SecondHand
from ntp_usg.refclocks.descriptors import readable
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId, Reporter, keep_open
from ntp_usg.sysapi.rtc import RtcDevice

_LATENCY = 1e-3
"""Seconds that an interrupt may take to reach us, and more."""
_LOOK_SECONDS = 0.002
_REST_SECONDS = 0.9, 0.95
"""After a second has begun, the next is looked out for again so much later: never after the same time, else all looks
would miss it by as much."""


class RtcOptions(DriverOptions):
    """The configuration table [rtc]; it is read, never set."""

    device: str = "/dev/rtc0"
    reference_id: ReferenceId = "RTC"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 5.0
    stratum: Annotated[int, Field(ge=1, le=14)] = 9
    """High, so that whoever hears of a better clock anywhere follows that one."""
    utc: bool = True
    """It is set to UTC, and not to this machine's time zone."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 2.0
    """How far it may be off: such a clock gains or loses seconds in a week without power."""

    def source(self) -> ClockSettings:
        return ClockSettings(
            name=self.numbered("RTC"),
            driver="rtc",
            standby=True,
            accuracy=self.accuracy_secs,
            offset=self.offset_secs,
            **self.shared(),
        )


class RtcDriver:
    """Tells when a second of the clock begins: by its interrupt, or else by looking closely."""

    Options: ClassVar[type[BaseModel]] = RtcOptions

    def __init__(self, options: RtcOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> None:
        await keep_open(context, partial(self._watch, context))

    async def _watch(self, context: Context, report: Reporter) -> None:
        path, timeout = self._options.device, self._options.timeout_secs
        try:
            with contextlib.closing(RtcDevice(path)) as device:
                kind = "interrupts" if device.interrupts else "no interrupts: it is polled"
                hand = SecondHand()
                while True:
                    async with asyncio.timeout(timeout):
                        reading = await self._next(device, hand, context)
                    report(connected=True, detail=f"{path}, {'UTC' if self._options.utc else 'local time'}, {kind}")
                    context.sample(reading)
        except TimeoutError:
            raise DeviceError(f"{path}: no usable second for {timeout:g} s; is it set, and does it run?") from None
        except WireError as error:
            raise DeviceError(f"{path} makes no sense: {error}") from error

    async def _next(self, device: RtcDevice, hand: SecondHand, context: Context) -> Measurement:
        """The next second that it begins, and that is of use."""
        while True:
            found = await (self._await(device, context) if device.interrupts else self._look(device, hand, context))
            news = judge_reading(found, context.now()) if isinstance(found, Measurement) else found
            if isinstance(news, Measurement):
                return news
            context.verdict(news)

    async def _await(self, device: RtcDevice, context: Context) -> Measurement | Verdict:
        """At the interrupt of an update the clock shows a new second."""
        while True:
            await readable(device.fileno())
            at = context.now()
            interrupt = device.interrupt()
            if interrupt is None or not interrupt.update or interrupt.count > 1:  # more: this one is from the past
                continue
            second = self._second(device.read_time())
            if second is None:
                return IMPLAUSIBLE
            return Measurement(at, second - at, _LATENCY + seconds(context.now() - at) / 2)

    async def _look(self, device: RtcDevice, hand: SecondHand, context: Context) -> Measurement | Verdict:
        if hand.rests:
            await asyncio.sleep(random.uniform(*_REST_SECONDS))  # noqa: S311 - nobody gains by guessing it
        while True:
            before = context.now()
            second = self._second(device.read_time())
            if second is None:
                await asyncio.sleep(_REST_SECONDS[0])
                return IMPLAUSIBLE
            found = hand.look(before, second, context.now())
            if found:
                return found
            await asyncio.sleep(_LOOK_SECONDS)

    def _second(self, shown: datetime) -> WallNs | None:
        """UTC; None in the hour in which local time comes twice, or not at all."""
        if self._options.utc:
            return WallNs(round(shown.replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)
        first, second = (round(shown.replace(fold=fold).timestamp()) for fold in (0, 1))
        return WallNs(first * NS_PER_SECOND) if first == second else None
