"""What became of a host's time: looked at from outside, with the truth at hand."""

import math
import statistics
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ntp_usg.core.base.instants import seconds
from ntp_usg.simulate.host import SimulatedHost
from ntp_usg.simulate.world import World


@dataclass(frozen=True, slots=True)
class Figures:
    """One host's run in numbers, from the time on when it had to be settled. Intervals in seconds."""

    host: str
    rms_error: float
    """Of the served time."""
    clock_error: float
    """RMS error of the clock itself, with the slew that is under way."""
    mean_error: float
    maximum_error: float
    rms_frequency_error: float
    """Seconds per second, slews apart."""
    time_to_lock: float | None
    """From the start; None if it never promised anything."""
    synchronised: float
    """Share of the time."""
    bound_violated: float
    """Share of the synchronised time in which the true error was larger than the promised one."""
    worst_ratio: float
    """Largest error / bound."""
    bound_ratio: float
    """Median of bound / error."""
    packets_per_hour: float
    steps: int


class Recorder:
    """Probes one host's served time at regular intervals: times from the start, errors positive when it is ahead."""

    def __init__(self, world: World, host: SimulatedHost, interval: float) -> None:
        self.host = host
        self.times = array("d")
        self.errors = array("d")
        self.clock_errors = array("d")
        self.bounds = array("d")
        """Promised maximum error; NaN while nothing is promised."""
        self.frequency_errors = array("d")
        self._world = world
        self._interval = interval
        world.after(interval, self._probe)

    def figures(self, settled: float) -> Figures:
        """What there is to say of the probes from `settled` seconds on; with none there it is NaN."""
        first = next((index for index, time in enumerate(self.times) if time >= settled), len(self.times))
        errors, bounds = self.errors[first:], self.bounds[first:]
        promised = [(abs(error), bound) for error, bound in zip(errors, bounds, strict=True) if not math.isnan(bound)]
        locked = (time for time, bound in zip(self.times, self.bounds, strict=True) if not math.isnan(bound))
        elapsed = seconds(self._world.now - self._world.start)
        return Figures(
            host=self.host.name,
            rms_error=_rms(errors),
            clock_error=_rms(self.clock_errors[first:]),
            mean_error=_mean(errors),
            maximum_error=max(map(abs, errors), default=math.nan),
            rms_frequency_error=_rms(self.frequency_errors[first:]),
            time_to_lock=next(locked, None),
            synchronised=len(promised) / len(errors) if errors else math.nan,
            bound_violated=_mean([error > bound for error, bound in promised]),
            worst_ratio=max((error / max(bound, 1e-9) for error, bound in promised), default=math.nan),
            bound_ratio=_median([bound / max(error, 1e-9) for error, bound in promised]),
            packets_per_hour=self.host.packets / elapsed * 3600 if elapsed else math.nan,
            steps=self.host.steps,
        )

    def points(self) -> Iterator[tuple[float, float, float, float]]:
        """Time, error, bound, frequency error."""
        return zip(self.times, self.errors, self.bounds, self.frequency_errors, strict=True)

    def _probe(self) -> None:
        world, clock = self._world, self.host.clock
        world.after(self._interval, self._probe)
        if clock.asleep:  # nobody can ask it then
            return
        host, now = clock.read()
        serving = self.host.serving()
        self.times.append(seconds(world.now - world.start))
        self.errors.append(seconds(serving.mapping.wall(host) - world.now))
        self.clock_errors.append(seconds(clock.current().wall(host) - world.now))
        bound = serving.root_dispersion_at(now) + serving.root_delay / 2
        self.bounds.append(bound if serving.synchronised and now < serving.expires_at else math.nan)
        self.frequency_errors.append(clock.oscillator.frequency(world.now) + clock.current().rate)


def _rms(values: Sequence[float]) -> float:
    return math.sqrt(sum(value * value for value in values) / len(values)) if values else math.nan


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan
