"""A simulated clock, to try the daemon without any hardware: true time is the host's clock and some error."""

import asyncio
import time
from random import Random
from typing import Annotated, ClassVar, Literal, NoReturn

from pydantic import BaseModel, Field, FiniteFloat

from ntp_usg.core.base.instants import nanoseconds
from ntp_usg.core.base.samples import DeviceStatus, Measurement
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.refclocks.driver import Context, ReferenceId
from ntp_usg.refclocks.pretence import WATCHED_ONLY, PretenceOptions

_POLL_SECONDS = 1.0


class SimulatedOptions(PretenceOptions):
    """The configuration table [simulated]."""

    device: Literal["simulation"] = "simulation"
    reference_id: ReferenceId = "SIM"
    timeout_secs: Annotated[FiniteFloat, Field(gt=0)] = 10.0
    ahead_secs: Annotated[FiniteFloat, Field(ge=-1e9, le=1e9)] = 0.0
    """How far its time is ahead of the host's clock at the start."""
    drift_ppm: Annotated[FiniteFloat, Field(ge=-500, le=500)] = 0.0
    """How fast it gains on the host's oscillator from there."""
    jitter_secs: Annotated[FiniteFloat, Field(ge=0, le=1)] = 1e-6
    """Standard deviation of its readings."""
    accuracy_secs: Annotated[FiniteFloat, Field(gt=0)] = 1e-4
    """How far its time is said to be off at most."""

    def source(self) -> ClockSettings:
        return ClockSettings(
            name=self.numbered("SIM"),
            driver="simulated",
            accuracy=self.accuracy_secs,
            offset=self.offset_secs,
            **self.shared(),
        )


class SimulatedDriver:
    """Gives a reading a second, and says loudly what it is."""

    Options: ClassVar[type[BaseModel]] = SimulatedOptions

    def __init__(self, options: SimulatedOptions) -> None:
        self._options = options
        self._random = Random(1)  # noqa: S311 - noise, not secrets

    async def run(self, context: Context) -> NoReturn:
        options = self._options
        role = "PRETENDS to be a reference: let no client use it" if options.pretend else WATCHED_ONLY
        context.status(DeviceStatus(connected=True, detail=f"SIMULATED, there is no such clock; {role}"))
        # Counted on by the one clock that nobody steers: true time must not follow the host's when that is corrected.
        start, oscillator = context.now(), _oscillator()
        while True:
            at = context.now()
            elapsed = _oscillator() - oscillator
            true = start + nanoseconds(options.ahead_secs) + elapsed + round(elapsed * options.drift_ppm * 1e-6)
            noise = nanoseconds(self._random.gauss(0.0, options.jitter_secs))
            context.sample(Measurement(at, true - at + noise, options.jitter_secs))
            await asyncio.sleep(_POLL_SECONDS)


def _oscillator() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
