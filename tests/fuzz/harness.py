"""What the fuzzers share: pieces and their ends, and for receivers spoilt bytes and the clock."""

import random
from abc import ABC, abstractmethod
from collections import Counter

from ntp_usg.core.base.dates import is_possible
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs, nanoseconds
from ntp_usg.core.base.samples import Fix, Measurement, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.readings import OLDEST_NS, judge_reading
from ntp_usg.refclocks.receiver import Assembler, Event

START = WallNs(1_771_243_200 * NS_PER_SECOND)
EARLIEST, LATEST = 978_307_200, 38_814_595_200
"""Unix seconds of the years 2001 and 3200: beyond them GPS weeks do not fit into messages. Unit tests go further."""
PAUSES = (0.01, 0.05, 0.19, 0.3)


class Fuzzer(ABC):
    """Makes pieces of bytes, checks what is made of them, and counts how each ended."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.events: Counter[str] = Counter()

    @abstractmethod
    def piece(self) -> bytes:
        """Some bytes: noise, what is said in earnest, the same spoilt, or the same with impossible values."""

    @abstractmethod
    def step(self, data: bytes) -> None:
        """Feed one piece; raises whatever goes wrong."""


class ReceiverFuzzer(Fuzzer):
    """Pieces of a byte stream, for one assembler."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.assembler = self.assemble()
        self.second = START
        self.before: WallNs | None = None
        self.now = 0

    @abstractmethod
    def assemble(self) -> Assembler:
        """What is to be fuzzed."""

    @abstractmethod
    def is_bounded(self) -> bool:
        """Whether the assembler holds no more than it may."""

    def advance(self) -> None:
        """Go on to another second, now and then; seldom to any year at all, and back soon."""
        if self.before is not None and self.random.random() < 0.05:
            self.second, self.before = self.before, None
        elif self.before is None and self.random.random() < 0.002:
            self.before, self.second = self.second, WallNs(self.random.randrange(EARLIEST, LATEST) * NS_PER_SECOND)
        elif self.random.random() < 0.2:
            self.second = WallNs(self.second + NS_PER_SECOND * self.random.choice((1, 1, 1, 1, 0, -1, 60, 86_400)))

    def spoil(self, data: bytes, *inserted: bytes) -> bytes:
        """Damage on the line."""
        spoilt, rng = bytearray(data), self.random
        at = rng.randrange(len(spoilt))
        match rng.randrange(4):
            case 0:
                spoilt[at] = rng.randrange(256)
            case 1:
                del spoilt[at:]
            case 2:
                del spoilt[:at]
            case _:
                spoilt[at:at] = rng.choice((*inserted, rng.randbytes(300)))
        return bytes(spoilt)

    def wait(self) -> None:
        """Let some time pass before the next piece."""
        self.now += nanoseconds(self.random.choice(PAUSES))

    def host(self) -> HostNs:
        """What the host's clock shows."""
        return HostNs(self.now)

    def step(self, data: bytes) -> None:
        self.wait()
        for event in self.assembler.feed(data, self.host(), MonoNs(self.now)):
            self.check(event)
        deadline = self.assembler.deadline()
        if deadline is not None and self.random.random() < 0.05:
            assert deadline > self.now, "a deadline in the past"
            self.silence()
        assert self.is_bounded(), "what is unfinished grows"

    def silence(self) -> None:
        """Nothing comes until all that is unfinished is over."""
        for event in self.assembler.flush():
            self.check(event)
        assert self.assembler.deadline() is None, "something is left after a silence"

    def check(self, event: Event) -> None:
        match event:
            case TimeMessage(second, _, fix, leap):
                assert is_possible(second), "a message of an impossible date"
                self.events[f"message, {fix.quality.label}, leap {leap}"] += 1
            case Fix(quality):
                self.events[f"fix, {quality.label}"] += 1
            case PulseCorrection():
                self.events["correction"] += 1
            case Reception(troubles):
                self.events[", ".join(trouble.text for trouble in troubles) or "no troubles"] += 1
            case Verdict(outcome, reason):
                self.events[f"{outcome}/{reason}"] += 1


def judge(reading: Measurement, now: HostNs) -> str:
    """What becomes of a reading."""
    match judge_reading(reading, now):
        case Measurement(at, offset_ns):
            assert 0 <= now - at <= OLDEST_NS, "a reading that is not of the moment"
            assert is_possible(at + offset_ns), "a reading that cannot be true"
            return "used"
        case verdict:
            return str(verdict.reason)
