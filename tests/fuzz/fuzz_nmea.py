"""Throws random and mutated NMEA bytes at the assembler: script/fuzz parser-nmea

Nothing may be raised, nothing may pile up, and no message may be dated before the program. The same seed gives the
same bytes again.
"""

from datetime import UTC, datetime

from tests.fuzz.harness import ReceiverFuzzer

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.samples import FixQuality, TimeMessage
from ntp_usg.core.receivers.framing import LONGEST_LINE
from ntp_usg.core.receivers.nmea import MOST_PARTS, NmeaAssembler
from ntp_usg.core.receivers.nmea_sentences import TALKERS, build_sentence
from ntp_usg.core.receivers.rollover import WEEK_NS
from ntp_usg.refclocks.receiver import Event
from ntp_usg.simulate.sentences import Sky, build_burst

NUMBERS = ["", "0", "9", "60", "99", "100", "-1", "1e9", "nan", "240000", "235960.00", "235960.999999999"]
EXTREMES = [*NUMBERS, "290226", "311299", "311005", "9999", "A", "V", "$", "*", "\0", "\x7f", "9000.1", "1_0"]
TEXTS = ("ANTSTATUS=OPEN", "ANTSTATUS=OK", "ANTENNA SHORT", "HW UBX-M8030")


class NmeaFuzzer(ReceiverFuzzer):
    """A sentence a piece, now and then a whole burst, or one of 20 or 40 years ago."""

    assembler: NmeaAssembler

    def assemble(self) -> NmeaAssembler:
        return NmeaAssembler(self.random.choice(((), ("RMC",), ("ZDA", "GGA"))))

    def is_bounded(self) -> bool:
        return len(self.assembler._framer._rest) <= LONGEST_LINE

    def piece(self) -> bytes:
        rng = self.random
        choice = rng.random()
        if choice < 0.1:
            return rng.randbytes(rng.choice((0, 1, 20, 2 * LONGEST_LINE)))
        if choice < 0.11:
            return build_sentence(f"GPTXT,01,01,02,{rng.choice(TEXTS)}")
        self.advance()
        sky = Sky(rng.randrange(1, 25), rng.choice(list(FixQuality)))
        if choice < 0.15:
            return build_burst(WallNs(self.second - rng.choice((0, 0, 1, 2)) * 1024 * WEEK_NS), sky)
        sentence = rng.choice(build_burst(self.second, sky).splitlines(keepends=True))
        if choice < 0.4:
            return sentence
        return self.spoil(sentence, b"$", b"*", b"\r", b"\n", b",") if choice < 0.7 else self.distort(sentence)

    def distort(self, sentence: bytes) -> bytes:
        """A value that the checksum vouches for, and that no receiver should send."""
        values = sentence[1:-5].decode("ascii").split(",")
        for _ in range(self.random.choice((1, 1, 2, 3))):
            values[self.random.randrange(1, len(values))] = self.random.choice(EXTREMES)
        if self.random.random() < 0.1:
            values[0] = self.random.choice(sorted(TALKERS)).decode() + values[0][2:]
        if self.random.random() < 0.1:
            del values[self.random.randrange(len(values)) :]
        return build_sentence(",".join(values))

    def check(self, event: Event) -> None:
        super().check(event)
        if isinstance(event, TimeMessage):
            assert len(event.arrivals) <= MOST_PARTS, "the parts of a burst grow"
            datetime.fromtimestamp(event.second // NS_PER_SECOND, UTC)
