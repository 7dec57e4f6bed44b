"""Throws random and mutated telegrams at the assembler: script/fuzz parser-meinberg

Nothing may be raised, nothing may pile up, and no message may be dated before the program. The same seed gives the
same bytes again.
"""

from tests.fuzz.harness import ReceiverFuzzer

from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.receivers.meinberg import LONGEST_TELEGRAM, MeinbergAssembler, Radio
from ntp_usg.simulate.meinberg import FORMATS, build_capture, build_standard, with_even_parity
from ntp_usg.simulate.sentences import Sky

CHARACTERS = b" #*!ASULRG;:.,+-0129NEWm"


class MeinbergFuzzer(ReceiverFuzzer):
    """A telegram a piece, in any of the formats, with parity or without."""

    assembler: MeinbergAssembler

    def assemble(self) -> MeinbergAssembler:
        return MeinbergAssembler(self.random.choice(list(Radio)), 3600)

    def is_bounded(self) -> bool:
        return len(self.assembler._framer._rest) <= LONGEST_TELEGRAM

    def piece(self) -> bytes:
        rng = self.random
        choice = rng.random()
        if choice < 0.1:
            return rng.choice((b"", b"\x02", b"\x82")) + rng.randbytes(rng.choice((0, 1, 20, 2 * LONGEST_TELEGRAM)))
        self.advance()
        telegram = self.distort(self.telegram()) if choice > 0.7 else self.telegram()
        if rng.random() < 0.5:
            telegram = with_even_parity(telegram)
        return self.spoil(telegram, b"\x02", b"\x82", b"\x03") if 0.4 < choice < 0.7 else telegram

    def telegram(self) -> bytes:
        rng = self.random
        sky = Sky(quality=rng.choice((FixQuality.GPS, FixQuality.NO_FIX)))
        if rng.random() < 0.3:
            zone, summer, checked = rng.randrange(-12, 15), rng.random() < 0.5, rng.random() < 0.5
            announced = rng.choice(" !A")
            return build_standard(
                self.second, sky, zone_hours=zone, daylight_saving=summer, checked=checked, y=announced
            )
        if rng.random() < 0.1:
            return build_capture(self.second)
        return FORMATS[rng.choice(sorted(FORMATS))](self.second, sky)

    def distort(self, telegram: bytes) -> bytes:
        """Characters where no clock should send them."""
        data = bytearray(telegram)
        for _ in range(self.random.choice((1, 1, 2, 3))):
            data[self.random.randrange(1, len(data) - 1)] = self.random.choice(CHARACTERS)
        return bytes(data)
