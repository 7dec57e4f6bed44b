"""Receivers as a host's drivers would report them: pulses and messages, with the faults that such things have."""

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Protocol

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, nanoseconds
from ntp_usg.core.base.samples import Fix, FixQuality, Pulse, TimeMessage
from ntp_usg.simulate.clock import SimulatedClock
from ntp_usg.simulate.links import Share
from ntp_usg.simulate.world import World

_REPORT_DELAY = 100e-6
"""Seconds from an edge until the driver has it."""
_BURST_LENGTH = 0.3
"""Seconds from the first byte of a burst until its last sentence was read."""
_NO_FIX = Fix(FixQuality.NO_FIX, satellites_used=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseNoise:
    """How the edges of a pulse line are off. Times in seconds."""

    delay: float = 0.0
    """How long after the true second the edge is stamped."""
    jitter: NonNegativeFloat = 100e-9
    """Standard deviation of each stamp."""
    sawtooth: float = 0.0
    """Amplitude of the receiver's own rounding to its clock's ticks."""
    sawtooth_period: PositiveFloat = 83.0
    glitches: Share = 0.0
    """How many spurious edges there are for each true one."""
    missing: Share = 0.0
    """Share of the edges that never come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageNoise:
    """How a receiver's messages come. Times in seconds."""

    latency: NonNegativeFloat = 0.12
    """From the second that a message names to its first byte."""
    jitter: NonNegativeFloat = 3e-3
    """Mean of what is added to that, with an exponential distribution."""
    satellites: NonNegativeInt = 9
    missing: Share = 0.0
    """Share of the seconds without a message."""


class Listener(Protocol):
    """The host that a receiver is connected to."""

    @property
    def clock(self) -> SimulatedClock: ...
    def pulse(self, name: str, pulse: Pulse) -> None: ...
    def message(self, name: str, message: TimeMessage) -> None: ...


class SimulatedPulses:
    """The PPS side of a receiver. `present` and `phase` may be changed at any time."""

    def __init__(self, name: str, noise: PulseNoise, world: World, host: Listener, random: Random) -> None:
        self.present = True
        self.phase = 0.0
        """Seconds that every edge comes too late."""
        self._name = name
        self._noise = noise
        self._world = world
        self._host = host
        self._random = random
        self._count = 0
        world.at(next_second(world.now), self._second)

    def _second(self) -> None:
        second, noise, random = self._world.now, self._noise, self._random
        self._world.at(next_second(second), self._second)
        if not self.present:
            return
        if noise.glitches and random.random() < noise.glitches:
            self._edge(WallNs(second + random.randrange(NS_PER_SECOND)))
        if not noise.missing or random.random() >= noise.missing:
            beat = 2 * (second / NS_PER_SECOND / noise.sawtooth_period % 1) - 1
            late = noise.delay + self.phase + random.gauss(0.0, noise.jitter) + noise.sawtooth * beat
            self._edge(WallNs(second + nanoseconds(late)))

    def _edge(self, at: WallNs) -> None:
        self._world.at(WallNs(at + nanoseconds(_REPORT_DELAY)), partial(self._report, at))

    def _report(self, at: WallNs) -> None:
        self._count += 1
        self._host.pulse(self._name, Pulse(self._host.clock.stamp(max(at, self._world.start)), self._count))


class SimulatedMessages:
    """The serial side of a receiver. Its state may be changed at any time."""

    def __init__(self, name: str, noise: MessageNoise, world: World, host: Listener, random: Random) -> None:
        self.present = True
        self.sees_sky = True
        self.wrong_seconds = 0
        """Added to each second named."""
        self._name = name
        self._noise = noise
        self._world = world
        self._host = host
        self._random = random
        self._good_fix = Fix(FixQuality.GPS, satellites_used=noise.satellites, hdop=1.0)
        world.at(next_second(world.now), self._second)

    def _second(self) -> None:
        second, noise = self._world.now, self._noise
        self._world.at(next_second(second), self._second)
        if not self.present or (noise.missing and self._random.random() < noise.missing):
            return
        late = noise.latency + (self._random.expovariate(1 / noise.jitter) if noise.jitter else 0.0)
        arrival = WallNs(second + nanoseconds(late))
        self._world.at(WallNs(arrival + nanoseconds(_BURST_LENGTH)), partial(self._report, second, arrival))

    def _report(self, second: WallNs, arrival: WallNs) -> None:
        named = WallNs(second + self.wrong_seconds * NS_PER_SECOND)
        fix = self._good_fix if self.sees_sky else _NO_FIX
        received_at: HostNs = self._host.clock.stamp(arrival)
        self._host.message(self._name, TimeMessage(named, received_at, fix))


def next_second(instant: WallNs) -> WallNs:
    """The first whole second of true time after an instant."""
    return WallNs((instant // NS_PER_SECOND + 1) * NS_PER_SECOND)
