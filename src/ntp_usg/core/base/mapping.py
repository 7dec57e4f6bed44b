"""The one formula by which a clock reading becomes disciplined time; the engine writes it, all who serve apply it."""

from dataclasses import dataclass

from ntp_usg.core.base.instants import HostNs, RawNs, WallNs


@dataclass(frozen=True, slots=True)
class ClockMapping:
    """Disciplined time as a function of an undisciplined reading, around `base_ns`.

    `rate` corrects the frequency for good (seconds per second); `slew_rate` works off a phase error on top of it and
    ends by itself after `slew_ns`, so that a mapping that is never renewed cannot overshoot.
    """

    base_ns: int = 0
    offset_ns: int = 0
    rate: float = 0.0
    slew_rate: float = 0.0
    slew_ns: int = 0

    def correction_ns(self, reading: int) -> int:
        """Nanoseconds to add to a reading."""
        elapsed = reading - self.base_ns
        slewing = min(max(elapsed, 0), self.slew_ns)
        return self.offset_ns + round(self.rate * elapsed + self.slew_rate * slewing)

    def wall(self, reading: HostNs | RawNs) -> WallNs:
        """The disciplined time at a reading."""
        return WallNs(reading + self.correction_ns(reading))

    def rate_at(self, reading: int) -> float:
        """The whole frequency correction in force at a reading, in seconds per second."""
        return self.rate + (self.slew_rate if 0 <= reading - self.base_ns < self.slew_ns else 0.0)

    @property
    def slewed(self) -> "ClockMapping":
        """The same with its phase error worked off at once: what the clock is on its way to."""
        if not self.slew_rate:
            return self
        return ClockMapping(self.base_ns, self.offset_ns + round(self.slew_rate * self.slew_ns), self.rate)


IDENTITY = ClockMapping()
"""The host clock as it is: for the system clock, which the kernel itself disciplines."""
