"""A clock that tells the whole time by itself: each reading is a sample."""

from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.leap import Announcement, Weight
from ntp_usg.core.base.actions import Action, Level, Note
from ntp_usg.core.base.dates import is_possible
from ntp_usg.core.base.instants import MonoNs, RawNs, nanoseconds
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.samples import Measurement, Sample
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.scattering_source import ScatteringSource
from ntp_usg.core.engine.settings import ClockSettings

CLOCK_NOISE = NoiseModel(expected=10e-6, floor=10e-9, gate=10e-6)


class WholeClock(ScatteringSource):
    """Shared memory, gpsd, a card: whoever is behind it has done the pairing and numbering."""

    settings: ClockSettings
    _leap = Leap.NONE

    def __init__(self, settings: ClockSettings, estimator: Estimator, now: MonoNs) -> None:
        # A fallback shows the served time: to hold that against the oscillator would be to doubt oneself.
        super().__init__(settings, estimator, now, CLOCK_NOISE, witnessed=not settings.fallback)

    @property
    def is_fallback(self) -> bool:
        return self.settings.fallback

    @property
    def is_orphaned(self) -> bool:
        return self.settings.fallback and self.settings.orphan

    def measurement(self, measurement: Measurement, correction_ns: int, now: MonoNs) -> Reason:
        """Take a reading in; `correction_ns` is the host's clock minus the raw one at the reading."""
        self._leap = Leap(measurement.leap & 3)
        if self._leap is Leap.UNSYNCHRONISED:
            return self.reject(Reason.NO_FIX)
        if not is_possible(measurement.at + measurement.offset_ns):
            return self.reject(Reason.IMPLAUSIBLE)
        at = RawNs(measurement.at - correction_ns)
        late_ns = nanoseconds(self.settings.offset)
        offset_ns = measurement.offset_ns + correction_ns + late_ns
        return self.measure(Sample(at, offset_ns, measurement.dispersion), now)

    def shift(self, offset_ns: int) -> None:
        """What was announced has happened."""
        super().shift(offset_ns)
        self._leap = Leap.NONE

    def announcement(self) -> Announcement | None:
        """A coming leap second; none is no vote, since most of these clocks cannot know."""
        if self._leap is Leap.NONE:
            return None
        return Announcement(self.settings.name, self._leap, Weight.REFCLOCK)

    def review(self, now: MonoNs, served: ClockMapping) -> list[Action]:  # noqa: ARG002 - only health changes
        """Notice that readings come or have stopped."""
        healthy = self.estimator.ready and not self.silent(now)
        if healthy == self.healthy:
            return []
        self.healthy = healthy
        if healthy:
            return [Note(Level.INFO, f"{self.settings.name}: it gives readings")]
        return [Note(Level.WARNING, f"{self.settings.name}: lost after {self.age(now):.1f}s. {self.reason(now)}")]
