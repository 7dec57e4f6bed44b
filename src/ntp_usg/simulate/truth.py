"""True time, as the simulated world has it."""

import time
from dataclasses import dataclass

from ntp_usg.core.base.instants import HostNs, WallNs, nanoseconds


@dataclass(frozen=True, slots=True)
class Truth:
    """True time as a function of one of the host's clocks, which nobody may steer meanwhile.

    It is `offset` seconds ahead at the reading `epoch`, and gains `drift_ppm` on that clock from there. Where the
    daemon steers the host's clock, `clock` must be another one: time.CLOCK_MONOTONIC_RAW.
    """

    epoch: int
    offset: float = 1.5
    drift_ppm: float = 12.0
    clock: int = time.CLOCK_REALTIME

    def true_time(self, reading: int) -> WallNs:
        elapsed = reading - self.epoch
        return WallNs(reading + nanoseconds(self.offset) + round(elapsed * self._drift))

    def reading(self, true: WallNs) -> int:
        """The inverse, to the nanosecond."""
        elapsed = true - self.epoch - nanoseconds(self.offset)
        return self.epoch + elapsed - round(elapsed * self._drift / (1 + self._drift))

    def now(self) -> WallNs:
        return self.true_time(time.clock_gettime_ns(self.clock))

    def stamp(self, true: WallNs) -> HostNs:
        """What the host's wall clock showed at a true time that has just passed, as a kernel would have stamped it."""
        return HostNs(self.reading(true) + self._host_ahead())

    def _host_ahead(self) -> int:
        """By how much the wall clock is ahead of ours now: by the tightest of some tries, which take time, too."""
        if self.clock == time.CLOCK_REALTIME:
            return 0
        tries = []
        for _ in range(10):
            before = time.clock_gettime_ns(self.clock)
            host = time.time_ns()
            after = time.clock_gettime_ns(self.clock)
            tries.append((after - before, host - (before + after) // 2))
        return min(tries)[1]

    @property
    def _drift(self) -> float:
        return self.drift_ppm * 1e-6
