"""Throws random and mutated TSIP packets at the assembler: script/fuzz parser-tsip

Nothing may be raised, nothing may pile up, and no message may be dated before the program. The same seed gives the
same bytes again.
"""

from tests.fuzz.harness import ReceiverFuzzer

from ntp_usg.core.base.samples import FixQuality
from ntp_usg.core.receivers.tsip import TsipAssembler
from ntp_usg.core.receivers.tsip_framing import LONGEST_PACKET, Kind, build_packet
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.tsip import (
    build_comprehensive,
    build_primary,
    build_satellites,
    build_supplemental,
    build_tracked_satellites,
    build_utc_time,
)

VALUES = (0, 1, 2, 3, 0x10, 60, 0x7F, 0x80, 0xFF)


class TsipFuzzer(ReceiverFuzzer):
    """A packet a piece, or all that follows a pulse."""

    assembler: TsipAssembler

    def assemble(self) -> TsipAssembler:
        return TsipAssembler(configure=True)

    def is_bounded(self) -> bool:
        return len(self.assembler._framer._framer._rest) <= LONGEST_PACKET and len(self.assembler._troubles) < 10

    def piece(self) -> bytes:
        rng = self.random
        choice = rng.random()
        if choice < 0.1:
            return rng.choice((b"", b"\x10", b"\x10\x8f\xab")) + rng.randbytes(
                rng.choice((0, 1, 20, 2 * LONGEST_PACKET))
            )
        self.advance()
        packet = self.packet()
        if choice < 0.5:
            return packet
        return self.spoil(packet, b"\x10", b"\x10\x03", b"\x10\x8f") if choice < 0.7 else self.distort(packet)

    def packet(self) -> bytes:
        """One of all packets that a receiver sends."""
        rng, second = self.random, self.second
        sky = Sky(rng.randrange(13), rng.choice((FixQuality.GPS, FixQuality.NO_FIX)))
        match rng.randrange(8):
            case 0:
                return build_primary(second, utc=rng.random() < 0.5, weeks_lost=rng.choice((0, 0, 1024)))
            case 1:
                return build_supplemental(sky, mode=rng.randrange(8), minor=rng.choice((0, 1 << rng.randrange(16))))
            case 2:
                return build_satellites(sky, rejected=rng.randrange(3))
            case 3:
                return build_tracked_satellites(sky)
            case 4:
                return build_utc_time(second, sky, tracking=rng.randrange(15), flags=rng.randrange(16))
            case 5:
                return build_comprehensive(second, sky, event=rng.choice((0, 0, 7)))
            case 6:
                kind, length = rng.choice(((Kind.UTC_MODE, 1), (Kind.BROADCAST_MASK, 4)))
                return build_packet(kind, rng.randbytes(length))
            case _:
                return build_primary(second) + build_supplemental(sky)

    def distort(self, packet: bytes) -> bytes:
        """Values that no receiver should send."""
        data = bytearray(packet)
        for _ in range(self.random.choice((1, 2, 5))):
            data[self.random.randrange(3, len(data) - 2)] = self.random.choice(VALUES)
        return bytes(data)
