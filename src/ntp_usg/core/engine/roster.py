"""All sources by name and by kind; one in which we failed is replaced by a new one."""

from collections.abc import Callable

from ntp_usg.core.algorithms.clock_filter import LoopEstimator
from ntp_usg.core.algorithms.estimator import Estimator, NoiseModel
from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.ports import Clock
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.engine.containment import Containment
from ntp_usg.core.engine.network_source import NETWORK_NOISE, NetworkSource
from ntp_usg.core.engine.pulse_line import PULSE_NOISE, PulseLine
from ntp_usg.core.engine.receiver import MESSAGE_NOISE, Receiver
from ntp_usg.core.engine.settings import (
    Algorithm,
    ClockSettings,
    EngineSettings,
    NetworkSettings,
    PulseSettings,
    ReceiverSettings,
    SourceSettings,
)
from ntp_usg.core.engine.source import Source
from ntp_usg.core.engine.whole_clock import CLOCK_NOISE, WholeClock

ESTIMATORS: dict[Algorithm, Callable[[NoiseModel], Estimator]] = {
    "kalman": KalmanEstimator,
    "regression": SampleHistory,
    "pll": LoopEstimator,
}
_FAULT = Verdict(Outcome.REJECTED, Reason.PROGRAM_FAULT)


class Roster:
    """The sources; the dictionaries stay the same for good, a source in them may be replaced."""

    def __init__(self, settings: EngineSettings, clock: Clock, random_bits: Callable[[int], int], now: MonoNs) -> None:
        self.receivers: dict[str, Receiver] = {}
        self.lines: dict[str, PulseLine] = {}
        self.clocks: dict[str, WholeClock] = {}
        self.servers: dict[str, NetworkSource] = {}
        self.all: dict[str, Source] = {}
        self.containment = Containment(
            lambda: clock.read()[1], lambda name: self._begin_again(name, clock.read()[1]), self._refuse
        )
        self._settings = settings
        self._random_bits = random_bits
        for each in (*settings.receivers, *settings.pulse_lines, *settings.clocks, *settings.servers):
            self._begin(each, now)

    def _begin(self, settings: SourceSettings, now: MonoNs) -> Source:
        """Know a source of which nothing has been heard yet."""
        before = self.all.get(settings.name)
        source = self.all[settings.name] = self._make(settings, now)
        source.number = before.number if before else len(self.all)
        if self._settings.saved_frequency is not None:
            source.estimator.expect(*self._settings.saved_frequency)
        return source

    def _make(self, settings: SourceSettings, now: MonoNs) -> Source:
        learn, name = ESTIMATORS[self._settings.algorithm], settings.name
        match settings:
            case ReceiverSettings():
                latencies = self._settings.saved_latencies
                self.receivers[name] = receiver = Receiver(settings, learn(MESSAGE_NOISE), now, latencies)
                return receiver
            case PulseSettings():
                self.lines[name] = line = PulseLine(settings, learn(PULSE_NOISE), now)
                return line
            case NetworkSettings():
                self.servers[name] = server = NetworkSource(settings, learn(NETWORK_NOISE), self._random_bits, now)
                return server
            case ClockSettings():
                self.clocks[name] = clock = WholeClock(settings, learn(CLOCK_NOISE), now)
                return clock
        raise TypeError(f"{name} is of no known kind")

    def _begin_again(self, name: str, now: MonoNs) -> None:
        """Replace a source in which we failed: only what was counted outlives it."""
        before = self.all[name]
        self._begin(before.settings, now).verdicts = before.verdicts
        self._refuse(name)

    def _refuse(self, name: str) -> None:
        self.all[name].judge(_FAULT)
