"""Performs the engine's actions in real time, and hands it what the drivers observe."""

import asyncio
import contextlib
import logging
from collections.abc import Callable

from ntp_usg.core.base.actions import Action, HostClockMoved, Leave, Note, Publish, Send, SourceFault, Steer
from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.instants import HostNs, seconds
from ntp_usg.core.base.ports import SteeredClock
from ntp_usg.core.base.samples import DeviceStatus, Fix, Measurement, Pulse, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.engine import Engine
from ntp_usg.daemon.containment import FaultLog
from ntp_usg.sysapi.processes import rivals

log = logging.getLogger(__name__)


FAULT_PAUSE = 1.0
"""Seconds until the engine's timer is served again after it failed."""


class EngineRunner:
    """The engine's clock hand: one timer, and every input followed by the actions that it asks for.

    A fault of ours in an action is logged and ends there; a clock that refuses to be steered ends `run`.
    """

    def __init__(
        self,
        engine: Engine,
        clock: SteeredClock,
        publish: Callable[[], None],
        talk: Callable[[Send | Leave], None],
        faults: FaultLog | None = None,
    ) -> None:
        self.engine = engine
        self._faults = faults or FaultLog()
        self._refusal: ClockError | None = None
        self._clock = clock
        self._publish = publish
        self._talk = talk
        self._woken = asyncio.Event()
        self._asleep = clock.suspended_for()

    async def run(self) -> None:
        """Serve the engine's timer until cancelled; raises ClockError where the clock can't be steered any more."""
        while True:
            served = self._settle()
            if self._refusal is not None:
                raise self._refusal
            _, now = self._clock.read()
            wait = max(0.0 if served else FAULT_PAUSE, seconds(self._next_deadline() - now))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):  # wait_for of Python 3.11 can swallow a cancellation
                    await self._woken.wait()
            self._woken.clear()

    def perform(self, actions: list[Action]) -> None:
        """Do what the engine asked for, then what is due at once because of it."""
        self._do(actions)
        self._settle()
        self._woken.set()

    def _settle(self) -> bool:
        """Serve the timers that are due; False where that failed, and must not be tried again at once."""
        _, now = self._clock.read()
        try:
            clock_deadline = self._clock.deadline()
            if clock_deadline is not None and clock_deadline <= now:
                self._clock.timer(now)
            if self.engine.deadline() <= now:
                self._do(self.engine.timer())
        except ClockError as error:
            self._refusal = error
        except Exception as error:  # noqa: BLE001 - a fault of ours; a state that nobody renews expires, so it is honest
            self._faults.tell("The review of the sources", error)
            return False
        return True

    def _next_deadline(self) -> int:
        clock_deadline = self._clock.deadline()
        deadline = self.engine.deadline()
        return deadline if clock_deadline is None else min(deadline, clock_deadline)

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            try:
                self._act(action)
            except ClockError as error:
                self._refusal = error
            except Exception as error:  # noqa: BLE001 - a fault of ours
                self._faults.tell(f"The action {type(action).__name__}", error)

    def _act(self, action: Action) -> None:
        match action:
            case Note(level, text):
                log.log(logging.getLevelNamesMapping()[level.upper()], "%s", text)
            case Steer(mapping, step):
                self._clock.steer(mapping, step=step)
            case HostClockMoved(jump):
                self._tell_of_jump(jump)
            case Publish():
                self._publish()
            case Send() | Leave():
                self._talk(action)
            case SourceFault(source, error, pause):
                self._faults.tell(f"{source}, which is left alone for {pause:.0f} s,", error)

    def _tell_of_jump(self, jump: float) -> None:
        """Say who moved the clock, as far as can be seen."""
        asleep, self._asleep = self._clock.suspended_for() - self._asleep, self._clock.suspended_for()
        if asleep > 1.0:
            log.warning("The machine slept for %.0f s: starting again", asleep)
            return
        seen = self._clock.interference() or ", ".join(rivals()) or "no known time program is running"
        log.warning("Another program moved the host's clock by %+.6fs: starting again (%s)", jump, seen)


class SourceContext:
    """What a driver gets: a way to tell the engine what it observes. Implements refclocks.driver.Context."""

    def __init__(self, runner: EngineRunner, clock: SteeredClock, name: str) -> None:
        self._runner = runner
        self._clock = clock
        self._name = name

    def message(self, message: TimeMessage) -> None:
        self._runner.perform(self._runner.engine.message(self._name, message))

    def pulse(self, pulse: Pulse) -> None:
        self._runner.perform(self._runner.engine.pulse(self._name, pulse))

    def correction(self, correction: PulseCorrection) -> None:
        self._runner.engine.correction(self._name, correction)

    def sample(self, measurement: Measurement) -> None:
        self._runner.perform(self._runner.engine.sample(self._name, measurement))

    def fix(self, fix: Fix) -> None:
        self._runner.engine.fix(self._name, fix)

    def reception(self, reception: Reception) -> None:
        self._runner.engine.reception(self._name, reception)

    def status(self, status: DeviceStatus) -> None:
        self._runner.perform(self._runner.engine.device(self._name, status))

    def verdict(self, verdict: Verdict) -> None:
        self._runner.engine.verdict(self._name, verdict)

    def now(self) -> HostNs:
        return self._clock.read()[0]
