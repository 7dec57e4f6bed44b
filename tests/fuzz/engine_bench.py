"""An engine in virtual time for the fuzzers: it has a source of each kind, and raises what it would only log."""

import json
import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.actions import Action, HostClockMoved, Send, SourceFault, Steer
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs, nanoseconds
from ntp_usg.core.base.mapped_clock import MappedClock
from ntp_usg.core.base.samples import DeviceStatus, Fix, Measurement, Pulse, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.engine.settings import (
    ClockSettings,
    EngineSettings,
    NetworkSettings,
    PulseSettings,
    ReceiverSettings,
)
from ntp_usg.net.workers.shared import build_state, parse_state
from ntp_usg.observe.status import _source, _system

START = 1_796_083_200 * NS_PER_SECOND
"""2026-12-01."""
RECEIVER, PULSES, CLOCK, SERVERS = "GPS(0)", "PPS(0)", "CLOCK(0)", ("one.example", "two.example")
YEARS = (1, 1900, 1969, 1970, 1980, 1999, 2007, 2026, 2027, 2036, 2038, 2046, 2075, 2077, 2100, 2106, 2262, 2263, 9999)


HOST_YEARS = (1970, 1980, 2007, 2026, 2036, 2038, 2077, 2106, 2232)
"""Linux sets its clock to nothing else than 1970 to 2232."""


def wild_second(rng: random.Random, years: Sequence[int] = YEARS) -> WallNs:
    """Any second of a year in which something overflows, rolls over or begins."""
    moment = datetime(rng.choice(years), rng.randrange(1, 13), rng.randrange(1, 29), tzinfo=UTC)
    return WallNs((int(moment.timestamp()) + rng.choice((0, 0, 86_399, rng.randrange(86_400)))) * NS_PER_SECOND)


class EngineBench(MappedClock):
    """The clock of the host, the engine, pulses at each true second, and the context of a driver."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.random = rng
        self.mono = 10**12
        self.host_error = rng.choice((0, 0, 1234, -START, wild_second(rng, HOST_YEARS) - START))
        self.jitter_ns = rng.choice((100, 100_000))
        self.observed = RECEIVER
        self.requests: dict[str, bytes] = {}
        self.engine = Engine(_settings(rng), self, rng.getrandbits)
        self._pulse_at = START
        self._pulses = rng.random() < 0.8
        self._looked = 0

    @property
    def true(self) -> WallNs:
        return WallNs(START + self.mono - 10**12)

    def read(self) -> tuple[HostNs, MonoNs]:
        return HostNs(self.true + self.host_error), MonoNs(self.mono)

    def suspended_for(self) -> float:
        return 0.0

    def advance(self, duration_ns: int) -> None:
        """Let time pass, with the pulses and the timers that are due in it; now and then somebody sets the clock."""
        until = self.mono + duration_ns
        while (due := min(self._pulse_at - START + 10**12, self.engine.deadline())) <= until:
            self.mono = max(self.mono, due)
            if self._pulse_at <= self.true:
                self._pulse()
            if self.engine.deadline() <= self.mono:
                self.perform(self.engine.timer())
        self.mono = until
        if self.random.random() < 1e-5:
            self.host_error = wild_second(self.random, HOST_YEARS) - START

    def _pulse(self) -> None:
        self._pulse_at += NS_PER_SECOND
        if self._pulses and self.random.random() < 0.98:
            edge = HostNs(self.read()[0] + self.random.randrange(self.jitter_ns))
            self.perform(self.engine.pulse(PULSES, Pulse(edge, self._pulse_at // NS_PER_SECOND % 2**32)))
        if self._pulse_at // NS_PER_SECOND % 8 == 0:
            self.look()

    def look(self) -> None:
        """All that people and workers are shown must be possible to show."""
        self._looked += 1
        state = self.engine.serving()
        assert parse_state(build_state(state)).stratum == state.stratum
        snapshot = self.engine.snapshot()
        json.dumps([_system(snapshot, MonoNs(self.mono)), *map(_source, snapshot.sources)], allow_nan=False)
        self.engine.learned()
        self.engine.tai_offset()

    def perform(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Steer(mapping, step):
                    self.steer(mapping, step=step)
                case Send() as request:
                    self.requests[request.association] = request.data
                    self.engine.sent(request.association, self.read()[0])
                case HostClockMoved():
                    self.engine.temperature(20.0)
                case SourceFault(_, error):
                    raise error

    # A driver's context.
    def message(self, message: TimeMessage) -> None:
        self.perform(self.engine.message(self.observed, message))

    def pulse(self, pulse: Pulse) -> None:
        self.perform(self.engine.pulse(PULSES, pulse))

    def correction(self, correction: PulseCorrection) -> None:
        self.perform(self.engine.correction(self.observed, correction))

    def sample(self, measurement: Measurement) -> None:
        self.perform(self.engine.sample(self.observed, measurement))

    def fix(self, fix: Fix) -> None:
        self.perform(self.engine.fix(self.observed, fix))

    def reception(self, reception: Reception) -> None:
        self.perform(self.engine.reception(self.observed, reception))

    def status(self, status: DeviceStatus) -> None:
        self.perform(self.engine.device(self.observed, status))

    def verdict(self, verdict: Verdict) -> None:
        self.perform(self.engine.verdict(self.observed, verdict))

    def now(self) -> HostNs:
        return self.read()[0]


def _settings(rng: random.Random) -> EngineSettings:
    def common(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "driver": "x", "device": "x", "reference_id": b"X", **more}

    latency, offset = rng.choice((0.0, 0.0, 0.1)), rng.choice((0.0, 0.0, 1e-3, -1e9))
    clocks = {"timeout": 5.0, "filter_length": rng.choice((1, 1, 4)), "trust": rng.random() < 0.1}
    servers = [
        NetworkSettings(
            **common(name, offset=offset),
            association=AssociationSettings(name=name, min_poll=0, max_poll=rng.choice((0, 3, 10)), iburst=True),
        )
        for name in SERVERS
    ]
    return EngineSettings(
        receivers=(ReceiverSettings(**common(RECEIVER, **clocks), accuracy=0.2, latency=latency, min_satellites=0),),
        pulse_lines=(PulseSettings(**common(PULSES, timeout=3.0), accuracy=1e-6),),
        clocks=(ClockSettings(**common(CLOCK, **clocks), accuracy=rng.choice((0.5, 1e-4)), offset=offset),),
        servers=tuple(servers),
        algorithm=rng.choice(("kalman", "kalman", "regression", "pll")),
        leap_smear=rng.random() < 0.2,
        step_limit=rng.choice((-1, 1)),
        panic_threshold=rng.choice((1000.0, 1e12)),
    )


def pause_ns(rng: random.Random) -> int:
    """Mostly short, so that many inputs fall into a second; sometimes long enough to end a burst, or a source."""
    choice = rng.random()
    return nanoseconds(20.0 if choice < 1e-4 else 0.21 if choice < 0.02 else 0.03 * choice**4)
