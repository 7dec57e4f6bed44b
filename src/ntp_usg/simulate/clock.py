"""The clock of a simulated host: what its crystal shows, what other programs did to it, and our correction on top."""

from collections.abc import Callable
from random import Random

from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, WallNs, nanoseconds, seconds
from ntp_usg.core.base.mapped_clock import MappedClock
from ntp_usg.simulate.oscillators import Oscillator, OscillatorSettings
from ntp_usg.simulate.world import World

UPTIME_NS = 1000 * 10**9
"""The machine was switched on a while before the start."""


class SimulatedClock(MappedClock):
    """A virtual clock over an oscillator; what other programs do to the host belongs to the raw clock."""

    def __init__(self, world: World, settings: OscillatorSettings, random: Random, step: float) -> None:
        super().__init__()
        self.oscillator = Oscillator(settings, world.start, random, step)
        self.when_set: Callable[[], None] = lambda: None
        """Called whenever another program has set the clock: the kernel tells those who want to know."""
        self._world = world
        self._stepped_ns = 0
        self._slept_ns = 0
        self._booted_at = RawNs(self.oscillator.reading(world.start) - UPTIME_NS)
        self._asleep_since: RawNs | None = None
        self._read_at = WallNs(-1)
        self._reading = RawNs(0)

    def read(self) -> tuple[HostNs, MonoNs]:
        shown = self._shown()
        return HostNs(shown + self._stepped_ns), MonoNs(shown - self._booted_at - self._slept_ns)

    def suspended_for(self) -> float:
        return seconds(self._slept_ns)

    def stamp(self, true: WallNs) -> HostNs:
        """What the host's clock shows at an instant, which may be past."""
        return HostNs(self.oscillator.reading(true) + self._stepped_ns)

    def true_time(self, deadline: MonoNs) -> WallNs:
        """When the monotonic clock gets there, if the machine does not sleep meanwhile."""
        return self.oscillator.true_time(RawNs(deadline + self._booted_at + self._slept_ns))

    def step_host(self, interval: float) -> None:
        """Another program sets the host's clock, so many seconds ahead."""
        self._stepped_ns += nanoseconds(interval)
        self.when_set()

    def suspend(self) -> None:
        """The machine sleeps: its monotonic clock stands still."""
        self._asleep_since = self._shown()

    def resume(self) -> None:
        """And wakes up: its wall clock has gone on."""
        assert self._asleep_since is not None, "only who sleeps can wake up"
        self._slept_ns += self._shown() - self._asleep_since
        self._asleep_since = None

    @property
    def asleep(self) -> bool:
        return self._asleep_since is not None

    def _shown(self) -> RawNs:
        """The crystal's reading, looked up once an instant: the engine reads its clock again and again."""
        if self._read_at != self._world.now:
            self._read_at = self._world.now
            self._reading = self.oscillator.reading(self._read_at)
        return self._reading
