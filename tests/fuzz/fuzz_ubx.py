"""Throws random and mutated UBX bytes at the assembler: python tests/fuzz/fuzz_ubx.py --count 1000000 --seed 1

Nothing may be raised, nothing may pile up, and no message may be dated before the program. The same seed gives the
same bytes again.
"""

import argparse
import random
import sys
from collections import Counter
from datetime import UTC, datetime

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.rollover import EARLIEST_DATE
from ntp_usg.core.receivers.ubx import Event, UbxAssembler
from ntp_usg.core.receivers.ubx_framing import LONGEST_FRAME, build_frame
from ntp_usg.core.receivers.ubx_messages import MAX_CORRECTION_PS
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import (
    build_pulse,
    build_pvt,
    build_radio,
    build_satellites,
    build_status,
    build_timels,
    build_timeutc,
)

START = WallNs(1_771_243_200 * NS_PER_SECOND)
EARLIEST = datetime(EARLIEST_DATE.year, EARLIEST_DATE.month, EARLIEST_DATE.day, tzinfo=UTC).timestamp() * NS_PER_SECOND


class Fuzzer:
    """Makes pieces of a byte stream and checks what one assembler makes of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.assembler = UbxAssembler()
        self.events: Counter[str] = Counter()
        self.second = START

    def piece(self) -> bytes:
        """Up to a frame: noise, NMEA, what a receiver says, the same spoilt, or the same with impossible values."""
        rng = self.random
        choice = rng.random()
        if choice < 0.1:
            return rng.choice((b"", b"\xb5\x62")) + rng.randbytes(rng.choice((0, 1, 20, LONGEST_FRAME)))
        if choice < 0.15:
            return build_burst(self.second, Sky())
        if rng.random() < 0.2:
            self.second = WallNs(self.second + NS_PER_SECOND * rng.choice((1, 1, 1, 1, 0, -1, 60, 86_400)))
        frame = self.frame()
        if choice < 0.5:
            return frame
        return self.spoil(frame) if choice < 0.7 else self.distort(frame)

    def frame(self) -> bytes:
        """One of all frames that a receiver sends."""
        rng, second = self.random, self.second
        sky = Sky(rng.randrange(25), rng.choice(list(FixQuality)))
        match rng.randrange(7):
            case 0:
                return build_status(second, sky, spoofing=rng.randrange(4))
            case 1:
                return build_pvt(second, sky, valid=rng.choice((7, 7, 7, 3)))
            case 2:
                return build_timeutc(second)
            case 3:
                return build_timels(second, change=rng.choice((-1, 0, 1)), event_in=rng.randrange(-(10**6), 10**7))
            case 4:
                return build_satellites(second, sky)
            case 5:
                return build_radio(*[(rng.randrange(6), rng.randrange(4)) for _ in range(rng.randrange(4))])
            case _:
                return build_pulse(second, rng.randrange(-(10**5), 10**5), utc=rng.random() < 0.5)

    def spoil(self, frame: bytes) -> bytes:
        """Damage on the line: nearly all of it is caught by the checksum."""
        data = bytearray(frame)
        at = self.random.randrange(len(data))
        match self.random.randrange(4):
            case 0:
                data[at] = self.random.randrange(256)
            case 1:
                del data[at:]
            case 2:
                del data[:at]
            case _:
                data[at:at] = self.random.choice((b"\xb5", b"\xb5\x62", b"$", self.random.randbytes(300)))
        return bytes(data)

    def distort(self, frame: bytes) -> bytes:
        """Values that the checksum vouches for, and that no receiver should send."""
        payload = bytearray(frame[6:-2])
        for _ in range(self.random.choice((1, 2, 5))):
            payload[self.random.randrange(len(payload))] = self.random.choice((0, 1, 60, 0x7F, 0x80, 0xFF))
        return build_frame(frame[2] << 8 | frame[3], bytes(payload))

    def step(self, data: bytes, now: int) -> None:
        """Feed one piece; raises whatever goes wrong."""
        for event in self.assembler.feed(data, HostNs(now), MonoNs(now)):
            self.check(event)
        deadline = self.assembler.deadline()
        if deadline is not None and self.random.random() < 0.05:
            assert deadline > now, "a deadline in the past"
            for event in self.assembler.flush():
                self.check(event)
            assert self.assembler.deadline() is None, "something is left after a silence"
        assert len(self.assembler._framer._held) <= LONGEST_FRAME, "an unfinished frame grows"

    def check(self, event: Event) -> None:
        match event:
            case TimeMessage(second, _, fix, leap):
                assert second >= EARLIEST, "a message from before the program"
                self.events[f"message, {fix.quality.label}, leap {leap}"] += 1
            case Fix(quality):
                self.events[f"fix, {quality.label}"] += 1
            case PulseCorrection(_, correction):
                assert abs(correction) <= MAX_CORRECTION_PS, "a correction that no pulse needs"
                self.events["correction"] += 1
            case Reception(troubles):
                self.events[", ".join(trouble.text for trouble in troubles) or "no troubles"] += 1
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
