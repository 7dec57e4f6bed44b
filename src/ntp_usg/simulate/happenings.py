"""`[[event]]`: what happens to a simulated world, and how it ends."""

from dataclasses import replace
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ntp_usg.core.base.snapshots import Leap
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.host import SimulatedHost, SimulatedServer
from ntp_usg.simulate.links import Link
from ntp_usg.simulate.receivers import SimulatedMessages, SimulatedPulses


class Parts(Protocol):
    """Where events find what they change, by name; the scenario has checked the names."""

    def host(self, name: str) -> SimulatedHost: ...
    def server(self, name: str) -> SimulatedServer: ...
    def clock(self, name: str) -> SimulatedClock: ...
    def link(self, between: tuple[str, str]) -> Link: ...
    def pulses(self, host: str) -> list[SimulatedPulses]: ...
    def messages(self, host: str) -> list[SimulatedMessages]: ...


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    what: str
    at: float = Field(ge=0)
    """Seconds from the start."""
    lasts: float | None = Field(default=None, gt=0, alias="for")
    """Seconds until it ends; without it, it does not."""

    @property
    def subject(self) -> str:
        """Whom the journal should name."""
        names = (getattr(self, key, None) for key in ("host", "server", "clock", "between"))
        subject = next(name for name in names if name)
        return subject if isinstance(subject, str) else "-".join(subject)

    def __str__(self) -> str:
        """As the journal has it: `step seconds=1.5`."""
        shown = self.model_dump(exclude={"what", "at", "lasts", "host", "server", "clock", "between"})
        return " ".join([self.what, *(f"{key}={value}" for key, value in shown.items())])

    def begin(self, parts: Parts) -> None:
        raise NotImplementedError

    def end(self, parts: Parts) -> None:
        """Undo it."""


class Step(_Event):
    """Another program sets the clock of a host or server."""

    what: Literal["step"]
    clock: str
    seconds: float

    def begin(self, parts: Parts) -> None:
        parts.clock(self.clock).step_host(self.seconds)

    def end(self, parts: Parts) -> None:
        parts.clock(self.clock).step_host(-self.seconds)


class Suspend(_Event):
    """The machine sleeps."""

    what: Literal["suspend"]
    host: str
    lasts: float = Field(gt=0, alias="for")
    clock_error: float = 0.0
    """How many seconds its wall clock is too fast afterwards."""

    def begin(self, parts: Parts) -> None:
        parts.host(self.host).suspend()

    def end(self, parts: Parts) -> None:
        parts.host(self.host).resume(self.clock_error)


class Cut(_Event):
    """A link is down."""

    what: Literal["cut"]
    between: tuple[str, str]

    def begin(self, parts: Parts) -> None:
        parts.link(self.between).up = False

    def end(self, parts: Parts) -> None:
        parts.link(self.between).up = True


class Route(_Event):
    """The way there takes another route; the way back does not."""

    what: Literal["route"]
    between: tuple[str, str]
    delay: float
    """Seconds more."""

    def begin(self, parts: Parts) -> None:
        parts.link(self.between).extra_delay += self.delay

    def end(self, parts: Parts) -> None:
        parts.link(self.between).extra_delay -= self.delay


class Lose(_Event):
    """A host's receivers lose something."""

    what: Literal["lose"]
    host: str
    thing: Literal["pulses", "messages", "sky"]

    def begin(self, parts: Parts) -> None:
        self._set(parts, there=False)

    def end(self, parts: Parts) -> None:
        self._set(parts, there=True)

    def _set(self, parts: Parts, *, there: bool) -> None:
        for line in parts.pulses(self.host) if self.thing == "pulses" else ():
            line.present = there
        for receiver in parts.messages(self.host) if self.thing != "pulses" else ():
            if self.thing == "messages":
                receiver.present = there
            else:
                receiver.sees_sky = there


class WrongSecond(_Event):
    """A host's receivers name seconds that are off."""

    what: Literal["wrong_second"]
    host: str
    seconds: int

    def begin(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.wrong_seconds += self.seconds

    def end(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.wrong_seconds -= self.seconds


class Phase(_Event):
    """A host's pulses come late, or early."""

    what: Literal["phase"]
    host: str
    seconds: float

    def begin(self, parts: Parts) -> None:
        for line in parts.pulses(self.host):
            line.phase += self.seconds

    def end(self, parts: Parts) -> None:
        for line in parts.pulses(self.host):
            line.phase -= self.seconds


class Claim(_Event):
    """A server says something else of itself."""

    what: Literal["claim"]
    server: str
    stratum: int = Field(default=1, ge=0, le=16)
    leap: Leap = Leap.NONE

    def begin(self, parts: Parts) -> None:
        server = parts.server(self.server)
        server.settings = replace(server.settings, stratum=self.stratum, leap=self.leap)

    def end(self, parts: Parts) -> None:
        server = parts.server(self.server)
        server.settings = server.usual_settings


Happening = Annotated[Step | Suspend | Cut | Route | Lose | WrongSecond | Phase | Claim, Field(discriminator="what")]
