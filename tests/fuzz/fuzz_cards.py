"""Throws what a mad kernel or card could reply at the readers: python tests/fuzz/fuzz_cards.py --count 1000000

Nothing but WireError may be raised; a reading must hold whatever the card read, and be of the moment to be used. The
same seed gives the same bytes again.
"""

import argparse
import random
import struct
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs, seconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.receivers import phc, rtc
from ntp_usg.core.receivers.readings import EARLIEST_NS, LATEST_NS, OLDEST_NS, judge_reading

SECOND = 1_795_300_000
NOW = HostNs(SECOND * NS_PER_SECOND + 999_999_999)
WHOLE = (SECOND, SECOND, SECOND, SECOND, SECOND + 37, SECOND - 1, 0, -1, 2**63 - 1, -(2**63))
FRACTIONS = (0, 0, 1, 5, 999_999_999)


class Fuzzer:
    """Makes a reply of each kind and checks what is made of it; pulses and seconds go on from reply to reply."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
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
        return self.judge(reading)

    def judge(self, reading: Measurement) -> str:
        match judge_reading(reading, NOW):
            case Measurement(at, offset_ns):
                assert 0 <= NOW - at <= OLDEST_NS, "a reading that is not of the moment"
                assert EARLIEST_NS <= at + offset_ns < LATEST_NS, "a reading that cannot be true"
                return "used"
            case verdict:
                return str(verdict.reason)

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
        return "no reading" if reading is None else self.judge(reading)

    def interrupt(self, data: bytes) -> str:
        return f"update {rtc.parse_interrupt(data).update}"

    def spoil(self, data: bytes) -> bytes:
        if self.random.random() < 0.9 or not data:
            return data
        at = self.random.randrange(len(data))
        return self.random.choice((data[:at], data[:at] + self.random.randbytes(1) + data[at + 1 :]))

    def step(self, name: str, data: bytes) -> str:
        """What became of a reply."""
        try:
            return self.kinds[name][1](data)
        except WireError:
            return "refused"


def fuzz(count: int, seed: int) -> Counter[str]:
    """Judge `count` replies; how often each kind came to each end."""
    fuzzer, ends = Fuzzer(seed), Counter[str]()
    for number in range(count):
        name = fuzzer.random.choice(sorted(fuzzer.kinds))
        data = fuzzer.spoil(fuzzer.kinds[name][0]())
        try:
            ends[f"{name}, {fuzzer.step(name, data)}"] += 1
        except Exception:
            print(f"reply {number} of seed {seed}: {name} {data.hex()}", file=sys.stderr)
            raise
    return ends


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for end, count in fuzz(options.count, options.seed).most_common():
        print(f"{count:9} {end}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
