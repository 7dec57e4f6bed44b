"""A rubidium or caesium standard with a pulse a second: steady for years, but somebody must have set its second."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field, FiniteFloat

from ntp_usg.core.engine.settings import PulseSettings
from ntp_usg.refclocks.driver import ReferenceId
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions


class AtomicOptions(PpsOptions):
    """The configuration table [atomic]: that of a pulse line, for which some values must be given."""

    reference_id: ReferenceId = "ATOM"
    offset_secs: FiniteFloat
    """How late its pulses are stamped, as measured against other sources: nothing in a standard tells where UTC is."""
    dispersion: Annotated[FiniteFloat, Field(gt=0)] = 1e-4
    """How far its pulses may be off, in seconds: as well as the offset was measured, and as far as it has drifted off
    since. A rubidium gains some 4 us a day, a caesium 1 us in a month."""

    def source(self) -> PulseSettings:
        return self.pulses("ATOM", "atomic")


class AtomicDriver(PpsDriver):
    """Reports pulses; other sources number them."""

    Options: ClassVar[type[BaseModel]] = AtomicOptions
