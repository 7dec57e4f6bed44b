"""Throws random and mutated receiver bytes at the assembler: python tests/fuzz/fuzz_nmea.py --count 1000000 --seed 1

Nothing may be raised, nothing may pile up, and no message may be dated before the program. The same seed gives the
same bytes again.
"""

import argparse
import random
import sys
from collections import Counter
from datetime import UTC, datetime
from functools import reduce
from operator import xor

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.framing import LONGEST_LINE
from ntp_usg.core.receivers.nmea import TALKERS, NmeaAssembler
from ntp_usg.core.receivers.rollover import EARLIEST_DATE
from ntp_usg.simulate.sentences import Sky, build_burst

START = WallNs(1_771_243_200 * NS_PER_SECOND)
EARLIEST = datetime(EARLIEST_DATE.year, EARLIEST_DATE.month, EARLIEST_DATE.day, tzinfo=UTC).timestamp() * NS_PER_SECOND
NUMBERS = [b"", b"0", b"9", b"60", b"99", b"100", b"-1", b"1e9", b"nan", b"240000", b"235960.00", b"235960.999999999"]
EXTREMES = [*NUMBERS, b"290226", b"311299", b"9999", b"A", b"V", b"$", b"*", b"\0", b"\xff", "\u0661".encode(), b"1_0"]


class Fuzzer:
    """Makes pieces of a byte stream and checks what one assembler makes of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.assembler = NmeaAssembler()
        self.events: Counter[str] = Counter()
        self.second = START

    def piece(self) -> bytes:
        """Up to a sentence: noise, what a receiver says, the same spoilt, or the same with impossible values."""
        rng = self.random
        choice = rng.random()
        if choice < 0.1:
            return rng.randbytes(rng.choice((0, 1, 20, 2 * LONGEST_LINE)))
        if rng.random() < 0.2:
            self.second = WallNs(self.second + NS_PER_SECOND * rng.choice((1, 1, 1, 1, 0, -1, 60, 86_400)))
        sky = Sky(rng.randrange(1, 25), rng.choice(list(FixQuality)))
        sentence = rng.choice(build_burst(self.second, sky).splitlines(keepends=True))
        if choice < 0.4:
            return sentence
        return self.spoil(sentence) if choice < 0.7 else self.distort(sentence)

    def spoil(self, sentence: bytes) -> bytes:
        """Damage on the line: most of it is caught by the checksum."""
        data = bytearray(sentence)
        at = self.random.randrange(len(data))
        match self.random.randrange(4):
            case 0:
                data[at] = self.random.randrange(256)
            case 1:
                del data[at:]
            case 2:
                del data[:at]
            case _:
                data[at:at] = self.random.choice((b"$", b"*", b"\r", b"\n", b",", b"\xff", self.random.randbytes(300)))
        return bytes(data)

    def distort(self, sentence: bytes) -> bytes:
        """A value that the checksum vouches for, and that no receiver should send."""
        values = sentence[1:-5].split(b",")
        for _ in range(self.random.choice((1, 1, 2, 3))):
            values[self.random.randrange(1, len(values))] = self.random.choice(EXTREMES)
        if self.random.random() < 0.1:
            values[0] = self.random.choice(sorted(TALKERS)) + values[0][2:]
        if self.random.random() < 0.1:
            del values[self.random.randrange(len(values)) :]
        body = b",".join(values)
        return b"$%s*%02X\r\n" % (body, reduce(xor, body, 0))

    def step(self, data: bytes, now: int) -> None:
        """Feed one piece; raises whatever goes wrong."""
        at = HostNs(now - self.random.choice((0, 10**9)))
        for event in self.assembler.feed(data, at, MonoNs(now)):
            self.check(event)
        deadline = self.assembler.deadline()
        if deadline is not None and self.random.random() < 0.05:
            assert deadline > now, "a deadline in the past"
            assert len(self.assembler.flush()) <= 1, "more than one event for one burst"
        assert len(self.assembler._framer._rest) <= LONGEST_LINE, "an unfinished line grows"

    def check(self, event: TimeMessage | Fix | Verdict) -> None:
        match event:
            case TimeMessage(second, _, fix):
                assert second >= EARLIEST, "a message from before the program"
                self.events[f"message, {fix.quality.label}"] += 1
            case Fix(quality):
                self.events[f"fix, {quality.label}"] += 1
            case Verdict(outcome, reason):
                self.events[f"{outcome}/{reason}"] += 1


def fuzz(count: int, seed: int) -> Counter[str]:
    """Feed `count` pieces; how often each kind of event came of them."""
    fuzzer = Fuzzer(seed)
    now = 0
    for number in range(count):
        now += fuzzer.random.choice((10_000_000, 50_000_000, 190_000_000, 300_000_000))
        data = fuzzer.piece()
        try:
            fuzzer.step(data, now)
        except Exception:
            print(f"piece {number} of seed {seed}: {data.hex()}", file=sys.stderr)
            raise
    return fuzzer.events


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for event, count in fuzz(options.count, options.seed).most_common():
        print(f"{count:9} {event}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
