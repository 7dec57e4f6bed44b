"""True time, as the simulated world has it."""

from dataclasses import dataclass

from ntp_usg.core.base.instants import HostNs, WallNs, nanoseconds


@dataclass(frozen=True, slots=True)
class Truth:
    """True time as a function of the host's clock, which nobody may steer meanwhile.

    It is `offset` seconds ahead at `epoch`, and gains `drift_ppm` on the host from there.
    """

    epoch: HostNs
    offset: float = 1.5
    drift_ppm: float = 12.0

    def true_time(self, host: HostNs) -> WallNs:
        elapsed = host - self.epoch
        return WallNs(host + nanoseconds(self.offset) + round(elapsed * self._drift))

    def host_time(self, true: WallNs) -> HostNs:
        """The inverse, to the nanosecond."""
        elapsed = true - self.epoch - nanoseconds(self.offset)
        return HostNs(self.epoch + elapsed - round(elapsed * self._drift / (1 + self._drift)))

    @property
    def _drift(self) -> float:
        return self.drift_ppm * 1e-6
