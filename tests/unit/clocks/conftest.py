"""A kernel's clock in memory: an oscillator, and the same calls upon it as `sysapi.timex.KernelClock` offers."""

from dataclasses import dataclass

import pytest

from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.sysapi.timex import ClockState, ClockStatus

CALL_NS = 2_000
START_NS = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
DAY_NS = 86_400 * SECOND


@dataclass
class SimulatedKernel:
    """Counts its own raw time; wall and monotonic time run by `frequency_ppm` faster. Every call takes 2 us."""

    frequency_ppm: float = 0.0
    foreign_slew_ppm: float = 0.0
    """What another program's adjtime or the kernel's own PLL adds, until a step ends it."""
    allowed: bool = True
    raw_ns: int = START_NS
    gained_ns: float = 0.0
    """By how much host time has run ahead of raw time; steps apart, so that a float holds picoseconds."""
    stepped_ns: int = 0
    leap: Leap = Leap.UNSYNCHRONISED
    maximum_error: float = 16.0
    tai_offset: int = 0
    has_leapt: bool = False
    """As the real kernel, it does not leap again before the leap has been taken back."""
    pll: bool = False
    settings: int = 0
    """How often anything was set."""

    def advance(self, interval: float) -> None:
        elapsed = round(interval * 1e9)
        leaps_at = (self.host() // DAY_NS + 1) * DAY_NS - SECOND * (self.leap is Leap.DELETE)
        self.raw_ns += elapsed
        self.gained_ns += elapsed * (self.frequency_ppm + self.foreign_slew_ppm) / 1e6
        if self.leap in (Leap.INSERT, Leap.DELETE) and not self.has_leapt and self.host() >= leaps_at:
            inserted = 1 if self.leap is Leap.INSERT else -1
            self.stepped_ns -= inserted * SECOND
            self.tai_offset += inserted
            self.has_leapt = True

    def host(self) -> HostNs:
        return HostNs(self.raw_ns + self.stepped_ns + round(self.gained_ns))

    def mono(self) -> MonoNs:
        return MonoNs(self.raw_ns - START_NS + round(self.gained_ns))

    def read(self) -> tuple[HostNs, MonoNs]:
        self.advance(CALL_NS / 1e9)
        return self.host(), self.mono()

    def state(self) -> ClockState:
        status = ClockStatus.PLL if self.pll else ClockStatus(0)
        return ClockState(self.frequency_ppm, self.maximum_error, self.maximum_error, status, self.tai_offset, 0)

    def may_set(self) -> bool:
        return self.allowed

    def set_frequency(self, ppm: float) -> float:
        self._set()
        self.frequency_ppm = round(min(max(ppm, -500), 500) * 65536) / 65536
        return self.frequency_ppm

    def step(self, offset_ns: int) -> None:
        self._set()
        self.stepped_ns += offset_ns
        self.foreign_slew_ppm = 0.0
        self.leap = Leap.UNSYNCHRONISED
        self.pll = False
        self.maximum_error = 16.0

    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None:
        self._set()
        self.leap, self.maximum_error = leap, maximum_error
        self.has_leapt = self.has_leapt and leap in (Leap.INSERT, Leap.DELETE)
        self.tai_offset = self.tai_offset if tai_offset is None else tai_offset

    def _set(self) -> None:
        if not self.allowed:
            raise ClockError("not allowed")
        self.settings += 1
        self.advance(CALL_NS / 1e9)


@pytest.fixture(scope="session")
def simulated_kernel() -> type[SimulatedKernel]:
    return SimulatedKernel
