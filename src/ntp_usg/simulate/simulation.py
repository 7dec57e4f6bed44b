"""A scenario come to life: the world that it describes, run to its end."""

from collections.abc import Callable
from functools import partial
from random import Random

from ntp_usg.core.base.actions import Level
from ntp_usg.core.base.instants import WallNs, nanoseconds
from ntp_usg.core.engine.engine import Engine
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.happenings import Happening
from ntp_usg.simulate.host import SimulatedHost, SimulatedServer
from ntp_usg.simulate.links import Link, Network
from ntp_usg.simulate.oscillators import OscillatorSettings
from ntp_usg.simulate.receivers import SimulatedMessages, SimulatedPulses
from ntp_usg.simulate.recorder import Figures, Recorder
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.tables import HostTable, reference_of
from ntp_usg.simulate.world import Entry, World


class Simulation:
    """One run. Each part draws from a stream of its own, so that adding one leaves the others as they were."""

    def __init__(self, scenario: Scenario, seed: int | None = None) -> None:
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.world = World(scenario.starts_at)
        self._network = Network(self.world)
        self._hosts: dict[str, SimulatedHost] = {}
        self._servers: dict[str, SimulatedServer] = {}
        self._clocks: dict[str, SimulatedClock] = {}
        self._pulses: dict[str, list[SimulatedPulses]] = {}
        self._messages: dict[str, list[SimulatedMessages]] = {}
        for server in scenario.server:
            clock = self._make_clock(server.name, server.oscillator)
            self._servers[server.name] = SimulatedServer(server.name, server, self._network, clock)
            self._network.add(self._servers[server.name])
        for link in scenario.link:
            self._network.connect(*link.between, Link(link, self._random("link", *link.between)))
        self.recorders = [Recorder(self.world, self._make_host(host), scenario.probe) for host in scenario.host]
        for event in scenario.event:
            self._plan(event)

    @property
    def journal(self) -> list[Entry]:
        """What people would have noticed, and the scenario's events among it."""
        return self.world.journal

    def run(self, progress: Callable[[float], None] = lambda _: None, chunks: int = 100) -> list[Figures]:
        """Let it all happen; `progress` hears after each chunk what share of it is over."""
        for chunk in range(1, chunks + 1):
            self.world.run(WallNs(self.world.start + nanoseconds(self.scenario.duration * chunk / chunks)))
            progress(chunk / chunks)
        return [recorder.figures(self.scenario.settled) for recorder in self.recorders]

    @property
    def now(self) -> WallNs:
        return self.world.now

    def host(self, name: str) -> SimulatedHost:
        return self._hosts[name]

    def server(self, name: str) -> SimulatedServer:
        return self._servers[name]

    def clock(self, name: str) -> SimulatedClock:
        return self._clocks[name]

    def link(self, between: tuple[str, str]) -> Link:
        return self._network.link(*between)

    def pulses(self, host: str) -> list[SimulatedPulses]:
        return self._pulses[host]

    def messages(self, host: str) -> list[SimulatedMessages]:
        return self._messages[host]

    def _make_host(self, table: HostTable) -> SimulatedHost:
        name, world = table.name, self.world
        clock = self._make_clock(name, table.oscillator)
        engine = Engine(table.engine_settings(), clock, self._random("engine", name).getrandbits)
        for source in () if table.translated else table.source:
            engine.seen_as(source.name, reference_of(name))
        host = self._hosts[name] = SimulatedHost(name, world, self._network, clock, engine)
        self._network.add(host)
        self._pulses[name] = [
            SimulatedPulses(each.name, each, world, host, self._random("pulses", name, each.name)) for each in table.pps
        ]
        self._messages[name] = [
            SimulatedMessages(each.name, each, world, host, self._random("messages", name, each.name))
            for each in table.gps
        ]
        return host

    def _make_clock(self, name: str, settings: OscillatorSettings) -> SimulatedClock:
        clock = SimulatedClock(self.world, settings, self._random("clock", name), self.scenario.knots)
        self._clocks[name] = clock
        return clock

    def _plan(self, event: Happening) -> None:
        for at in event.times(self.scenario.duration):
            self.world.after(at, partial(self._happen, event, event.begin, f"{event}"))
            if event.lasts is not None:
                self.world.after(at + event.lasts, partial(self._happen, event, event.end, f"end of {event}"))

    def _happen(self, event: Happening, change: Callable[["Simulation"], None], text: str) -> None:
        self.world.note(event.subject, Level.WARNING, f"scenario: {text}")
        change(self)

    def _random(self, *purpose: str) -> Random:
        return Random("/".join([str(self.seed), *purpose]))  # noqa: S311 - noise, not secrets
