"""`[[event]]`: what happens to a simulated world, and how it ends."""

from dataclasses import replace
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.host import SimulatedHost, SimulatedServer
from ntp_usg.simulate.links import Link
from ntp_usg.simulate.receivers import HONEST, Deceit, SimulatedMessages, SimulatedPulses


class Parts(Protocol):
    """Where events find what they change, by name; the scenario has checked the names."""

    def host(self, name: str) -> SimulatedHost: ...
    def server(self, name: str) -> SimulatedServer: ...
    def clock(self, name: str) -> SimulatedClock: ...
    def link(self, between: tuple[str, str]) -> Link: ...
    def pulses(self, host: str) -> list[SimulatedPulses]: ...
    def messages(self, host: str) -> list[SimulatedMessages]: ...
    @property
    def now(self) -> WallNs: ...


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    what: str
    at: float = Field(ge=0)
    """Seconds from the start."""
    lasts: float | None = Field(default=None, gt=0, alias="for")
    """Seconds until it ends; without it, it does not."""
    every: float | None = Field(default=None, gt=0)
    """Seconds from one time that it happens to the next; without it, it happens once."""

    @property
    def subject(self) -> str:
        """Whom the journal should name."""
        names = (getattr(self, key, None) for key in ("host", "server", "clock", "between"))
        subject = next(name for name in names if name)
        return subject if isinstance(subject, str) else "-".join(subject)

    def __str__(self) -> str:
        """As the journal has it: `step seconds=1.5`."""
        shown = self.model_dump(exclude={"what", "at", "lasts", "every", "host", "server", "clock", "between"})
        return " ".join([self.what, *(f"{key}={value}" for key, value in shown.items())])

    def times(self, duration: float) -> list[float]:
        """When it happens, in seconds from the start."""
        again = int((duration - self.at) // self.every) if self.every else 0
        return [self.at + number * (self.every or 0.0) for number in range(again + 1)]

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


class Frequency(_Event):
    """The crystal of a host or server runs at another frequency: its surroundings have changed."""

    what: Literal["frequency"]
    clock: str
    ppm: float
    """How much faster."""
    over: float = Field(default=0.0, ge=0)
    """Seconds that the change takes."""

    def begin(self, parts: Parts) -> None:
        self._change(parts, self.ppm)

    def end(self, parts: Parts) -> None:
        self._change(parts, -self.ppm)

    def _change(self, parts: Parts, ppm: float) -> None:
        parts.clock(self.clock).oscillator.change_frequency(parts.now, ppm * 1e-6, self.over)


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
    receiver: str = ""
    """Only this one; empty for all."""

    def begin(self, parts: Parts) -> None:
        self._move(parts, self.seconds)

    def end(self, parts: Parts) -> None:
        self._move(parts, -self.seconds)

    def _move(self, parts: Parts, seconds: int) -> None:
        for receiver in parts.messages(self.host):
            if self.receiver in ("", receiver.name):
                receiver.wrong_seconds += seconds


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


class Spoof(_Event):
    """Forged signals: a host's receivers, messages and pulses alike, are led away from the truth."""

    what: Literal["spoof"]
    host: str
    jump: float = 0.0
    """Seconds ahead, at once."""
    ramp: float = 0.0
    """Seconds per second, from then on."""

    def begin(self, parts: Parts) -> None:
        self._set(parts, Deceit(self.jump, self.ramp, parts.now))

    def end(self, parts: Parts) -> None:
        self._set(parts, HONEST)

    def _set(self, parts: Parts, deceit: Deceit) -> None:
        for line in parts.pulses(self.host):
            line.deceit = deceit
        for receiver in parts.messages(self.host):
            receiver.deceit = deceit


class Freeze(_Event):
    """A host's receivers name one second for ever: their processors hang, or somebody replays what was recorded."""

    what: Literal["freeze"]
    host: str

    def begin(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.frozen = WallNs(parts.now // NS_PER_SECOND * NS_PER_SECOND)

    def end(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.frozen = None


class Garble(_Event):
    """Nothing readable comes over a host's serial lines: noise, or another baud rate."""

    what: Literal["garble"]
    host: str

    def begin(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.garbled = True

    def end(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.garbled = False


class Slow(_Event):
    """The messages of a host's receivers come later: more sentences on a slow line."""

    what: Literal["slow"]
    host: str
    seconds: float

    def begin(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.extra_latency += self.seconds

    def end(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            receiver.extra_latency -= self.seconds


class Say(_Event):
    """A host's receivers say something else of themselves, true or not."""

    what: Literal["say"]
    host: str
    satellites: int = Field(default=9, ge=0)
    dimensions: int = Field(default=3, ge=1, le=3)
    pdop: float | None = Field(default=None, ge=0)
    moved_m: float = 0.0
    """How far north of where they are."""
    leap: Leap | None = None
    doubt: Doubt | None = None
    severe: bool = False

    def begin(self, parts: Parts) -> None:
        for receiver in parts.messages(self.host):
            place = receiver.good_fix.position
            assert place is not None
            place = replace(place, latitude_deg=place.latitude_deg + self.moved_m / 111_195)
            receiver.good_fix = replace(
                receiver.good_fix,
                satellites_used=self.satellites,
                dimensions=self.dimensions,
                pdop=self.pdop,
                position=place,
            )
            receiver.leap = self.leap
            receiver.complain(*([Trouble(self.doubt, "said so", self.severe)] if self.doubt else ()))

    def end(self, parts: Parts) -> None:
        Say(what="say", host=self.host, at=self.at, moved_m=-self.moved_m).begin(parts)


Happening = Annotated[
    Step
    | Frequency
    | Suspend
    | Cut
    | Route
    | Lose
    | WrongSecond
    | Phase
    | Claim
    | Spoof
    | Freeze
    | Garble
    | Slow
    | Say,
    Field(discriminator="what"),
]
