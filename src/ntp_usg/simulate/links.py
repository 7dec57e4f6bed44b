"""The network between hosts: how long a datagram takes, and whether it arrives."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Annotated, Literal, Protocol

from pydantic import Field, NonNegativeFloat, PositiveFloat

from ntp_usg.core.base.instants import seconds
from ntp_usg.simulate.world import World

Share = Annotated[float, Field(ge=0, le=1)]
Distribution = Literal["exponential", "normal", "uniform", "gamma"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """A path between two hosts. Times in seconds, one way; "there" is from the first host to the second."""

    delay: NonNegativeFloat = 100e-6
    """What no datagram is faster than, but for normal jitter."""
    jitter: NonNegativeFloat = 0.0
    """Mean of what comes on top; with `normal` its standard deviation around `delay`."""
    distribution: Distribution = "exponential"
    shape: PositiveFloat = 2.0
    """Of the gamma distribution: 1 is exponential, more is ever nearer to normal."""
    asymmetry: float = 0.0
    """How much longer the way there takes than the way back: half of it is an error that no client can see."""
    jitter_back: NonNegativeFloat | None = None
    """Jitter on the way back, where it is another."""
    loss: Share = 0.0
    """Share of the datagrams that are lost, each way."""
    burst_interval: NonNegativeFloat = 0.0
    """Mean time from one burst of other traffic to the next; 0 = there are none."""
    burst_time: PositiveFloat = 10.0
    """How long a burst lasts on average."""
    burst_delay: NonNegativeFloat = 0.0
    """Mean time that a datagram queues in a burst."""


@dataclass(frozen=True, slots=True)
class Datagram:
    """Bytes on their way; `association` stands for the client's port."""

    source: str
    destination: str
    association: str
    data: bytes


class Host(Protocol):
    """Whoever can be sent to."""

    name: str

    def receive(self, datagram: Datagram) -> None: ...


class Link:
    """One path in its present state. `extra_delay` and `up` may be changed at any time."""

    def __init__(self, settings: LinkSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._draw = _draws(settings, random)
        self._bursting = True  # until the first look, at the start
        self._burst_changes_at = 0.0
        self.extra_delay = 0.0
        """Seconds that the way there takes longer since the route changed."""
        self.up = True

    def delay(self, *, there: bool, elapsed: float) -> float | None:
        """Seconds that a datagram takes which is sent `elapsed` seconds after the start; None if it is lost."""
        settings, random = self._settings, self._random
        if not self.up or (settings.loss and random.random() < settings.loss):
            return None
        jitter = settings.jitter if there or settings.jitter_back is None else settings.jitter_back
        one_sided = settings.asymmetry / 2
        delay = settings.delay + (one_sided + self.extra_delay if there else -one_sided)
        if jitter:
            delay += self._draw(jitter)
        if settings.burst_interval and settings.burst_delay and self._in_burst(elapsed):
            delay += random.expovariate(1 / settings.burst_delay)
        return max(0.0, delay)

    def _in_burst(self, elapsed: float) -> bool:
        """Whether others fill the queue: quiet and bursts take turns, each for an exponential time."""
        settings = self._settings
        while self._burst_changes_at <= elapsed:
            self._bursting = not self._bursting
            mean = settings.burst_time if self._bursting else settings.burst_interval
            self._burst_changes_at += self._random.expovariate(1 / mean)
        return self._bursting


def _draws(settings: LinkSettings, random: Random) -> Callable[[float], float]:
    """Jitter of a given size in seconds."""
    match settings.distribution:
        case "exponential":
            return lambda mean: random.expovariate(1 / mean)
        case "normal":
            return lambda deviation: random.gauss(0.0, deviation)
        case "uniform":
            return lambda mean: random.uniform(0.0, 2 * mean)
        case "gamma":
            return lambda mean: random.gammavariate(settings.shape, mean / settings.shape)


class Network:
    """Hosts and the links between them; where there is no link, nothing arrives."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hosts: dict[str, Host] = {}
        self._links: dict[tuple[str, str], tuple[Link, bool]] = {}

    def add(self, host: Host) -> None:
        self._hosts[host.name] = host

    def connect(self, first: str, second: str, link: Link) -> None:
        self._links[first, second] = link, True
        self._links[second, first] = link, False

    def link(self, first: str, second: str) -> Link:
        """Raises KeyError where there is none."""
        return self._links[first, second][0]

    def send(self, datagram: Datagram, later: float = 0.0) -> None:
        """Put a datagram on its way, `later` seconds from now."""
        link, there = self._links.get((datagram.source, datagram.destination), (None, True))
        if link is None:
            return
        delay = link.delay(there=there, elapsed=seconds(self._world.now - self._world.start))
        if delay is not None:
            arrival = partial(self._hosts[datagram.destination].receive, datagram)
            self._world.after(later + delay, arrival)
