"""Throws random and mutated Oncore messages at the assembler: script/fuzz parser-oncore

Nothing may be raised, nothing may pile up, and no message may be dated before the program. The same seed gives the
same bytes again.
"""

from tests.fuzz.harness import ReceiverFuzzer

from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.receivers.oncore import OncoreAssembler
from ntp_usg.core.receivers.oncore_framing import LENGTHS, LONGEST_MESSAGE, Kind, build_message
from ntp_usg.core.receivers.oncore_setup import OncoreSettings
from ntp_usg.simulate.oncore import build_leap_date, build_position_8, build_position_12, build_raim
from ntp_usg.simulate.sentences import Sky

VALUES = (0, 1, 2, 0x0A, 0x0D, 0x40, 60, 0x7F, 0x80, 0xFF)


class OncoreFuzzer(ReceiverFuzzer):
    """A message a piece."""

    assembler: OncoreAssembler

    def assemble(self) -> OncoreAssembler:
        return OncoreAssembler(OncoreSettings(survey_fixes=1000))

    def is_bounded(self) -> bool:
        return len(self.assembler._framer._framer._rest) <= LONGEST_MESSAGE and len(self.assembler._troubles) < 10

    def piece(self) -> bytes:
        rng = self.random
        choice = rng.random()
        if choice < 0.1:
            return rng.choice((b"", b"@@", b"@@Cj")) + rng.randbytes(rng.choice((0, 1, 20, 2 * LONGEST_MESSAGE)))
        self.advance()
        message = self.message()
        if choice < 0.6:
            return message
        return self.spoil(message, b"@", b"@@", b"\r\n") if choice < 0.75 else self.distort(message)

    def message(self) -> bytes:
        """One of all messages that a receiver sends."""
        rng, second = self.random, self.second
        sky = Sky(rng.randrange(13), rng.choice((FixQuality.GPS, FixQuality.NO_FIX)))
        held, bits = rng.random() < 0.5, rng.choice((0, 0, 1 << rng.randrange(8)))
        match rng.randrange(6):
            case 0:
                return build_position_12(second, sky, held=held, utc=rng.random() < 0.5, status=bits)
            case 1:
                return build_position_8(second, sky, held=held, status=bits, antenna=rng.randrange(4))
            case 2:
                return build_raim(rng.choice((Kind.RAIM_8, Kind.RAIM_12)), rng.randrange(-128, 128), solution=bits & 3)
            case 3:
                day = (2026, rng.randrange(14), rng.randrange(32))
                return build_leap_date(rng.choice((-1, 0, 1)), day)
            case 4:
                return build_message(Kind.UTC_OFFSET, bytes([rng.choice((0, 18, 18, 18))]))
            case _:
                kind = rng.choice(list(Kind))
                return build_message(kind, rng.randbytes(LENGTHS[kind] - 7))

    def distort(self, message: bytes) -> bytes:
        """Values that the checksum vouches for, and that no receiver should send."""
        data = bytearray(message[4:-3])
        for _ in range(self.random.choice((1, 2, 5))):
            data[self.random.randrange(len(data))] = self.random.choice(VALUES)
        return build_message(message[2:4].decode("ascii"), bytes(data))
