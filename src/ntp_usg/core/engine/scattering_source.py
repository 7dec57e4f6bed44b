"""A source whose samples may all be off to one side, by what they scatter: pulses, and clocks that tell the time."""

from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.spread import Spread
from ntp_usg.core.algorithms.witness import Witness
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.settings import SourceSettings
from ntp_usg.core.engine.source import Source


class ScatteringSource(Source):
    """One whose promise includes half of the range of its latest samples."""

    def __init__(
        self,
        settings: SourceSettings,
        estimator: Estimator,
        now: MonoNs,
        noise: NoiseModel,
        *,
        witnessed: bool = True,
    ) -> None:
        """Unless `witnessed` it is not held against the host's oscillator."""
        super().__init__(settings, estimator, now, Witness(noise.expected, settings.accuracy) if witnessed else None)
        self._spread = Spread(noise.expected)

    @property
    def accuracy(self) -> float:
        return self.settings.accuracy + max(self._spread.half_width, self._declared_uncertainty)

    @property
    def _declared_uncertainty(self) -> float:
        """Seconds that the latest samples may be off by for reasons that they told themselves."""
        return 0.0

    def shift(self, offset_ns: int) -> None:
        super().shift(offset_ns)
        self._spread.shift(offset_ns)

    def _learn(self, sample: Sample) -> Reason:
        reason, estimate = super()._learn(sample), self.estimator.estimate(sample.at)
        if reason is Reason.USED and estimate is not None:
            self._spread.see(sample, estimate.offset_ns, first=len(self.estimator) == 1)
        return reason
