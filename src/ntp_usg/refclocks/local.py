"""The undisciplined local clock: no reference, but one time for a network without any (ntpd's driver 1)."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, NoReturn

from pydantic import BaseModel, Field, FiniteFloat

from ntp_usg.core.base.aliases import Alias, absent
from ntp_usg.core.base.samples import DeviceStatus, Measurement
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.refclocks.driver import Context, DriverOptions, ReferenceId

_POLL_SECONDS = 1.0
_PRECISION = 1e-6


class LocalOptions(DriverOptions):
    """The configuration table [local]: only who writes it gets one."""

    ALIASES: ClassVar[Mapping[str, Alias]] = {
        **DriverOptions.ALIASES,
        "time2": absent("the frequency cannot be set: the daemon learns it and keeps it in its drift file"),
    }
    """Of ntpd's driver 1."""

    device: Literal["host clock"] = "host clock"
    reference_id: ReferenceId = "LOCL"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    stratum: Annotated[int, Field(ge=1, le=14)] = 10
    """High, so that whoever hears of a better clock anywhere follows that one."""
    orphan: bool = False
    """One of several servers that ask each other: when all have lost every other time, they agree on one of them."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 1.0
    """The error bound that clients get, because nobody knows how far the clock is off."""

    def source(self) -> ClockSettings:
        return ClockSettings(
            name=self.numbered("LOCAL"),
            driver="local",
            accuracy=self.accuracy_secs,
            fallback=True,
            orphan=self.orphan,
            **self.shared(),
        )


class LocalDriver:
    """Says once a second that there is a clock; the engine takes what it serves for its reading."""

    Options: ClassVar[type[BaseModel]] = LocalOptions

    def __init__(self, options: LocalOptions) -> None:
        self._options = options

    async def run(self, context: Context) -> NoReturn:
        context.status(DeviceStatus(connected=True, detail=f"the host's own clock, stratum {self._options.stratum}"))
        while True:
            context.sample(Measurement(context.now(), 0, _PRECISION))
            await asyncio.sleep(_POLL_SECONDS)
