"""Receivers as a host's drivers would report them: pulses and messages, with the faults that such things have."""

from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Literal, Protocol

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from ntp_usg.core.base.doubts import Trouble
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, nanoseconds, nearest_second, seconds
from ntp_usg.core.base.samples import Fix, FixQuality, Position, Pulse, PulseEnd, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
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
    width: NonNegativeFloat = 0.0
    """From an edge to the other end of its pulse, where the kernel captures both; 0 = it does not."""
    interval: PositiveFloat = 1.0
    """From one pulse to the next, the first one with a second."""
    noise: NonNegativeFloat = 0.0
    """So many edges a second at random, beside the pulses."""
    end: Literal["begin", "end", "even", "unknown"] = "begin"
    """Which end of the pulse the edges are, as the record of both edges shows it; `unknown` where there is none."""


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
    fraction: Share = 0.0
    """The first instant that is named in each second, after it has begun."""
    rate: PositiveInt = 1
    """So many instants are named in each second."""


class Listener(Protocol):
    """The host that a receiver is connected to."""

    @property
    def clock(self) -> SimulatedClock: ...
    def pulse(self, name: str, pulse: Pulse) -> None: ...
    def message(self, name: str, message: TimeMessage) -> None: ...
    def reception(self, name: str, reception: Reception) -> None: ...
    def verdict(self, name: str, verdict: Verdict) -> None: ...


@dataclass(frozen=True, slots=True)
class Deceit:
    """Forged signals: how far a receiver's time is ahead of the truth, seconds, and how fast it runs off."""

    jump: float = 0.0
    ramp: float = 0.0
    since: WallNs = WallNs(0)

    def ahead_ns(self, at: WallNs) -> int:
        return nanoseconds(self.jump + self.ramp * seconds(at - self.since))


HONEST = Deceit()


class SimulatedPulses:
    """The PPS side of a receiver. Its state may be changed at any time."""

    def __init__(self, name: str, noise: PulseNoise, world: World, host: Listener, random: Random) -> None:
        self.present = True
        self.phase = 0.0
        """Seconds that every edge comes too late."""
        self.deceit = HONEST
        self.interval = noise.interval
        self.noise = noise.noise
        self.end = PulseEnd[noise.end.upper()]
        self.silent = False
        """No pulses come, only noise."""
        self._name = name
        self._noise = noise
        self._world = world
        self._host = host
        self._random = random
        self._count = 0
        world.at(next_second(world.now), self._second)
        world.at(next_second(world.now), self._stray)

    def _stray(self) -> None:
        """Edges at random; where there are none now, there may be later."""
        self._world.after(self._random.expovariate(self.noise) if self.noise else 1.0, self._stray)
        if self.noise and self.present:
            self._edge(self._world.now)

    def _second(self) -> None:
        second, noise, random = self._world.now, self._noise, self._random
        next_pulse = next_second(second) if self.interval == 1 else WallNs(second + nanoseconds(self.interval))
        self._world.at(next_pulse, self._second)
        if not self.present:
            return
        if noise.glitches and random.random() < noise.glitches:
            self._edge(WallNs(second + random.randrange(NS_PER_SECOND)))
        if not self.silent and (not noise.missing or random.random() >= noise.missing):
            beat = 2 * (second / NS_PER_SECOND / noise.sawtooth_period % 1) - 1
            _, early_ns = split_second(self.deceit.ahead_ns(second))
            late = (
                noise.delay + self.phase - seconds(early_ns) + random.gauss(0.0, noise.jitter) + noise.sawtooth * beat
            )
            self._edge(WallNs(second + nanoseconds(late)))
            if noise.width:
                self._edge(WallNs(second + nanoseconds(late + noise.width)), PulseEnd.END)

    def _edge(self, at: WallNs, end: PulseEnd | None = None) -> None:
        self._world.at(WallNs(at + nanoseconds(_REPORT_DELAY)), partial(self._report, at, end or self.end))

    def _report(self, at: WallNs, end: PulseEnd) -> None:
        self._count += 1
        stamp = self._host.clock.stamp(max(at, self._world.start))
        self._host.pulse(self._name, Pulse(stamp, self._count, end=end))


class SimulatedMessages:
    """The serial side of a receiver. Its state may be changed at any time."""

    def __init__(self, name: str, noise: MessageNoise, world: World, host: Listener, random: Random) -> None:
        self.present = True
        self.sees_sky = True
        self.wrong_seconds = 0
        """Added to each second named."""
        self.deceit = HONEST
        self.frozen: WallNs | None = None
        """The second that it names for ever."""
        self.garbled = False
        self.leap: int | None = None
        """What it says of the end of the month."""
        self.extra_latency = 0.0
        self.name = name
        self._noise = noise
        self._world = world
        self._host = host
        self._random = random
        self.good_fix = Fix(
            FixQuality.GPS,
            satellites_used=noise.satellites,
            hdop=1.0,
            dimensions=3,
            position=Position(47.0, 8.0, 400.0),
        )
        world.at(next_second(world.now), self._second)

    def _second(self) -> None:
        second, noise = self._world.now, self._noise
        self._world.at(next_second(second), self._second)
        if not self.present or (noise.missing and self._random.random() < noise.missing):
            return
        for number in range(noise.rate):
            self._name_instant(second, nanoseconds(noise.fraction + number / noise.rate))

    def _name_instant(self, second: WallNs, after_ns: int) -> None:
        noise = self._noise
        late = (
            noise.latency + self.extra_latency + (self._random.expovariate(1 / noise.jitter) if noise.jitter else 0.0)
        )
        ahead, early_ns = split_second(self.deceit.ahead_ns(second))
        arrival = WallNs(second + after_ns - early_ns + nanoseconds(late))
        named = WallNs(second + after_ns + (self.wrong_seconds + ahead) * NS_PER_SECOND)
        self._world.at(WallNs(arrival + nanoseconds(_BURST_LENGTH)), partial(self._report, named, arrival))

    def _report(self, named: WallNs, arrival: WallNs) -> None:
        if self.garbled:
            self._host.verdict(self.name, Verdict(Outcome.REJECTED, Reason.BAD_CHECKSUM))
            return
        fix = self.good_fix if self.sees_sky else _NO_FIX
        received_at: HostNs = self._host.clock.stamp(max(arrival, self._world.start))
        self._host.message(self.name, TimeMessage(self.frozen or named, received_at, fix, self.leap))

    def complain(self, *troubles: Trouble) -> None:
        """Say what is wrong with itself, from now on."""
        self._host.reception(self.name, Reception(troubles))


def split_second(interval_ns: int) -> tuple[int, int]:
    """An interval as whole seconds and what is left in nanoseconds, half a second at the most."""
    whole = nearest_second(interval_ns) // NS_PER_SECOND
    return whole, interval_ns - whole * NS_PER_SECOND


def next_second(instant: WallNs) -> WallNs:
    """The first whole second of true time after an instant."""
    return WallNs((instant // NS_PER_SECOND + 1) * NS_PER_SECOND)
