"""Simulated machines: one that runs the engine, and a server whose time is whatever its crystal shows."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from pydantic import Field, NonNegativeFloat

from ntp_usg.core.base.actions import Action, HostClockMoved, Leave, Level, Note, Publish, Send, SourceFault, Steer
from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, WallNs, nanoseconds
from ntp_usg.core.base.samples import Pulse, Reception, TimeMessage
from ntp_usg.core.base.snapshots import PHI, Leap, ServingState
from ntp_usg.core.base.verdicts import Outcome, Verdict
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder, unusable
from ntp_usg.core.wire.header import Mode
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.links import Datagram, Network
from ntp_usg.simulate.world import World

SERVICE_TIME = 20e-6
"""Seconds from the arrival of a request to the departure of its answer."""
CLOCK_MOVED_NS = 100_000
"""A host clock that is off by more since the state was published has been moved by another program."""
_FAR_NS = 10**6 * NS_PER_SECOND
"""Deadlines beyond this mean never."""


class Answering:
    """The real responder, with names for addresses."""

    def __init__(self, name: str, network: Network, clock: SimulatedClock) -> None:
        self._name = name
        self._network = network
        self._clock = clock
        self._responder = Responder(ServerPolicy())
        self._addresses: dict[str, bytes] = {}

    def answer(self, request: Datagram, state: ServingState) -> None:
        host, now = self._clock.read()
        arrived = state.mapping.wall(host)
        reply = self._responder.respond(request.data, self._address(request.source), arrived, state, now)
        if reply.verdict.outcome is Outcome.ANSWERED:
            data = bytes(reply.depart(WallNs(arrived + nanoseconds(SERVICE_TIME))))
            answer = Datagram(self._name, request.source, request.association, data)
            self._network.send(answer, SERVICE_TIME)

    def _address(self, client: str) -> bytes:
        return self._addresses.setdefault(client, b"\x0a" + len(self._addresses).to_bytes(3, "big"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What a server says of itself, true or not. Intervals in seconds."""

    stratum: Annotated[int, Field(ge=0, le=255)] = 1
    leap: Leap = Leap.NONE
    reference_id: str = "GPS"
    root_delay: NonNegativeFloat = 0.0
    root_dispersion: NonNegativeFloat = 1e-6


class SimulatedServer:
    """Answers with what its crystal shows, whether that is right or wrong; nothing disciplines it."""

    def __init__(self, name: str, settings: ServerSettings, network: Network, clock: SimulatedClock) -> None:
        self.name = name
        self.usual_settings = settings
        self.settings = settings
        """May be replaced at any time."""
        self._clock = clock
        self._answering = Answering(name, network, clock)

    def receive(self, datagram: Datagram) -> None:
        host, now = self._clock.read()
        settings = self.settings
        state = ServingState(
            leap=settings.leap,
            stratum=settings.stratum,
            root_delay=settings.root_delay,
            root_dispersion=settings.root_dispersion,
            dispersion_rate=PHI,
            reference_id=settings.reference_id.encode().ljust(4, b"\0"),
            reference_time=WallNs(host - NS_PER_SECOND),
            as_of=now,
            expires_at=MonoNs(now + NS_PER_SECOND),
            host_minus_mono_ns=host - now,
        )
        self._answering.answer(datagram, state)


class SimulatedHost:
    """Performs the actions of a real engine in virtual time, and answers with what it makes of the time."""

    def __init__(self, name: str, world: World, network: Network, clock: SimulatedClock, engine: Engine) -> None:
        self.name = name
        self.clock = clock
        self.engine = engine
        self.packets = 0
        """Requests sent."""
        self.steps = 0
        """Of its clock, by its own engine."""
        self._world = world
        self._network = network
        self._answering = Answering(name, network, clock)
        self._state: ServingState | None = None
        self._host_minus_mono = 0
        self._planned: MonoNs | None = None
        self._refused_by: set[str] = set()
        clock.when_set = self._clock_was_set
        self._settle()

    def receive(self, datagram: Datagram) -> None:
        """A request, or the answer to one of ours."""
        if self.clock.asleep:
            return
        if datagram.data[0] & 7 == Mode.CLIENT:
            self._answering.answer(datagram, self.serving())
        else:
            host, _ = self.clock.read()
            self.perform(self.engine.receive(datagram.association, datagram.data, host))

    def serving(self) -> ServingState:
        """What answers are made of now: as published last, and unusable where somebody has moved the clock since."""
        # Made when somebody asks: most of what is published nobody reads.
        self._state = self._state or self.engine.serving()
        host, now = self.clock.read()
        moved = abs(host - now - self._host_minus_mono) > CLOCK_MOVED_NS
        return unusable(self._state, b"INIT") if moved else self._state

    def pulse(self, name: str, pulse: Pulse) -> None:
        if not self.clock.asleep:
            self.perform(self.engine.pulse(name, pulse))

    def message(self, name: str, message: TimeMessage) -> None:
        if not self.clock.asleep:
            self.perform(self.engine.message(name, message))

    def reception(self, name: str, reception: Reception) -> None:
        self.engine.reception(name, reception)

    def verdict(self, name: str, verdict: Verdict) -> None:
        self.engine.verdict(name, verdict)

    def suspend(self) -> None:
        """Sleep: nothing is heard, no timer runs."""
        self.clock.suspend()

    def resume(self, clock_error: float = 0.0) -> None:
        """Wake up with a wall clock that the sleep has made so many seconds too fast."""
        self.clock.resume()
        self.clock.step_host(clock_error)
        self._planned = None
        self._settle()

    def _clock_was_set(self) -> None:
        self.engine.review_soon()
        if not self.clock.asleep:
            self._settle()

    def perform(self, actions: list[Action]) -> None:
        """Do what the engine asked for, then what is due at once because of it."""
        self._do(actions)
        self._settle()

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Steer(mapping, step):
                    self.clock.steer(mapping, step=step)
                    self.steps += step
                case Publish():
                    self._state = None
                    host, now = self.clock.read()
                    self._host_minus_mono = host - now
                case Note(level, text):
                    self._world.note(self.name, level, text)
                case HostClockMoved(jump):
                    self._world.note(self.name, Level.WARNING, f"Host clock moved by {jump:+.6f}s: starting again")
                case Leave(association, for_ever=True):  # simulated servers have one address each
                    self._refused_by.add(association)
                case SourceFault(_, error):
                    raise error  # a simulation is to find faults, not to survive them
                case Send(association, data) if association not in self._refused_by:
                    self._send(association, data)

    def _send(self, association: str, data: bytes) -> None:
        host, _ = self.clock.read()
        self.packets += 1
        self.engine.sent(association, host)
        self._network.send(Datagram(self.name, association, association, data))

    def _settle(self) -> None:
        """Serve the engine's timer, and plan to be back when it is due again."""
        _, now = self.clock.read()
        if self.engine.deadline() <= now:
            self._do(self.engine.timer())
        deadline = self.engine.deadline()
        if deadline == self._planned or deadline - now > _FAR_NS:
            return
        self._planned = deadline
        self._world.at(max(self.clock.true_time(deadline), WallNs(self._world.now + 1)), partial(self._wake, deadline))

    def _wake(self, deadline: MonoNs) -> None:
        if deadline == self._planned and not self.clock.asleep:
            self._planned = None
            self._settle()
