"""Throws what a mad kernel or card could reply at the readers: script/fuzz cards

Nothing but WireError may be raised; a reading must hold whatever the card read, and be of the moment to be used. The
same seed gives the same bytes again.
"""

import struct
from collections.abc import Callable
from datetime import UTC

from tests.fuzz.harness import Fuzzer, judge

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, seconds
from ntp_usg.core.receivers import phc, rtc

SECOND = 1_795_300_000
NOW = HostNs(SECOND * NS_PER_SECOND + 999_999_999)
WHOLE = (SECOND, SECOND, SECOND, SECOND, SECOND + 37, SECOND - 1, 0, -1, 2**63 - 1, -(2**63))
FRACTIONS = (0, 0, 1, 5, 999_999_999)


class CardFuzzer(Fuzzer):
    """Makes a reply of each kind and checks what is made of it; pulses and seconds go on from reply to reply."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.pulses = phc.Pulses()
        self.pulses.compare(phc.CrossStamp(NOW, NOW, NOW))
        self.hand = rtc.SecondHand()
        self.kinds: dict[str, tuple[Callable[[], bytes], Callable[[bytes], str]]] = {
            "capabilities": (lambda: self.integers(20), self.capabilities),
            "plain": (lambda: self.times(51), lambda data: self.reading(phc.parse_offset(data, 25))),
            "extended": (lambda: self.times(75), lambda data: self.reading(phc.parse_extended(data, 25))),
            "precise": (lambda: self.times(3)[16:] + bytes(16), lambda data: self.reading([phc.parse_precise(data)])),
            "edge": (lambda: self.times(1)[16:] + self.integers(4), self.edge),
            "time": (self.shown, self.time),
            "interrupt": (lambda: self.random.randbytes(self.random.choice((0, 4, 8, 9))), self.interrupt),
        }

    def integers(self, count: int) -> bytes:
        values = [self.random.choice((0, 1, 2, 255, -1, 2**31 - 1)) for _ in range(count)]
        return struct.pack(f"={count}i", *values)

    def times(self, count: int) -> bytes:
        """A header, and times in order; now and then those of one clock are mad, or all."""
        rng = self.random
        mad = rng.random() < 0.3
        clocks = [rng.choice(WHOLE) if mad else SECOND for _ in range(rng.choice((1, 2, 3)))]
        fractions = sorted(rng.choice(FRACTIONS) for _ in range(count))
        if rng.random() < 0.1:
            fractions[-1] = rng.choice((10**9, 2**32 - 1))
        parts = [struct.pack("=qI4x", clocks[at % len(clocks)], each) for at, each in enumerate(fractions)]
        return bytes(16) + b"".join(parts)

    def shown(self) -> bytes:
        fields = [self.random.choice((0, 1, 11, 23, 28)) for _ in range(5)]
        if self.random.random() < 0.3:
            fields[self.random.randrange(5)] = self.random.choice((-1, 31, 60, 2**31 - 1, -(2**31)))
        year = self.random.choice((126, 126, 126, 70, 69, 299, 300, -1900, 2**31 - 1))
        return struct.pack("=9i", *fields, year, 0, 0, 0)

    def capabilities(self, data: bytes) -> str:
        can = phc.parse_capabilities(data)
        assert can.channels >= 0
        assert can.pins >= 0
        return "read"

    def reading(self, stamps: list[phc.CrossStamp]) -> str:
        stamp = phc.tightest(stamps)
        reading = phc.measure(stamp, self.random.choice((0, 37)))
        self.pulses.compare(stamp)
        assert stamp.before <= reading.at <= stamp.after, "a reading outside its bracket"
        assert reading.dispersion >= seconds(stamp.width_ns) / 2, "a reading that promises too much"
        return judge(reading, NOW)

    def edge(self, data: bytes) -> str:
        edge = phc.parse_edge(data)
        marks = self.pulses.marks_second(edge.card_ns)
        at = self.pulses.host(edge.card_ns)
        if at is None:
            return "far"
        assert abs(at - self.pulses._stamps[-1].host) < 3 * NS_PER_SECOND, "an edge thrown far away"
        return "second" if marks else "no second"

    def time(self, data: bytes) -> str:
        shown = rtc.parse_rtc_time(data)
        second = WallNs(round(shown.replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND)
        before = HostNs(NOW - self.random.choice((0, 1000, 10**10)))
        reading = self.hand.look(before, second, NOW)
        return "no reading" if reading is None else judge(reading, NOW)

    def interrupt(self, data: bytes) -> str:
        return f"update {rtc.parse_interrupt(data).update}"

    def spoil(self, data: bytes) -> bytes:
        if self.random.random() < 0.9 or not data:
            return data
        at = self.random.randrange(len(data))
        return self.random.choice((data[:at], data[:at] + self.random.randbytes(1) + data[at + 1 :]))

    def piece(self) -> bytes:
        self.kind = self.random.choice(sorted(self.kinds))
        return self.spoil(self.kinds[self.kind][0]())

    def step(self, data: bytes) -> None:
        try:
            end = self.kinds[self.kind][1](data)
        except WireError:
            end = "refused"
        self.events[f"{self.kind}, {end}"] += 1
