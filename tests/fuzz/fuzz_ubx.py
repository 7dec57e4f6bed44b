"""Throws random and mutated UBX bytes at the assembler: script/fuzz parser-ubx

It sets a receiver up meanwhile, which answers, or not, or wrongly. Nothing may be raised, nothing may pile up, no
message may be dated before the program, and each setup must come to an end. The same seed gives the same bytes again.
"""

from tests.fuzz.harness import ReceiverFuzzer

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.samples import FixQuality, PulseCorrection
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.ubx import UbxAssembler
from ntp_usg.core.receivers.ubx_framing import LONGEST_FRAME, Kind, build_frame
from ntp_usg.core.receivers.ubx_messages import MAX_CORRECTION_PS
from ntp_usg.core.receivers.ubx_settings import Placement
from ntp_usg.core.receivers.ubx_setup import UbxSetup
from ntp_usg.refclocks.receiver import Event
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import (
    build_dop,
    build_eoe,
    build_hw,
    build_nav_svin,
    build_pulse,
    build_pvt,
    build_radio,
    build_satellites,
    build_security,
    build_status,
    build_svinfo,
    build_tim_svin,
    build_timels,
    build_timeutc,
)
from ntp_usg.simulate.ubx_receiver import MODELS, UbxReceiver

MOST_COMMANDS = 500


class UbxFuzzer(ReceiverFuzzer):
    """A frame a piece, or the answers of the receiver that is being set up; some are patient and answer at last."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.begin()

    def assemble(self) -> UbxAssembler:
        self.setup = UbxSetup(Placement(600, 2.0))
        return UbxAssembler(self.setup)

    def begin(self) -> None:
        """Another line is opened."""
        self.receiver = UbxReceiver(MODELS[self.random.choice(sorted(MODELS))])
        self.patient = self.random.random() < 0.7
        self.answers = b""
        self.commands = 0
        for event in self.assembler.opened(MonoNs(self.now)):
            self.check(event)

    def piece(self) -> bytes:
        rng = self.random
        choice = rng.random()
        if self.answers and choice < 0.7:
            answers, self.answers = self.answers, b""
            return answers if choice < 0.6 or self.patient else self.spoil(answers, b"\xb5", b"\xb5\x62", b"$")
        if choice < 0.8:
            return rng.choice((b"", b"\xb5\x62")) + rng.randbytes(rng.choice((0, 1, 20, LONGEST_FRAME)))
        if choice < 0.82:
            return build_burst(self.second, Sky())
        self.advance()
        if choice < 0.85:
            leap = build_timels(self.second, change=rng.choice((-1, 0, 1)), event_in=3600)
            return build_pvt(self.second, Sky()) + leap
        frame = self.frame()
        match rng.randrange(3):
            case 0:
                return frame
            case 1:
                return self.spoil(frame, b"\xb5", b"\xb5\x62", b"$")
            case _:
                return self.distort(frame)

    def frame(self) -> bytes:
        """One of all frames that a receiver sends."""
        rng, second = self.random, self.second
        sky = Sky(rng.randrange(25), rng.choice(list(FixQuality)))
        duration, accuracy, running = rng.randrange(10**6), rng.random() * 60, rng.random() < 0.5
        builders = (
            lambda: build_status(second, sky, spoofing=rng.randrange(4)),
            lambda: build_pvt(second, sky, valid=rng.choice((7, 7, 7, 3))),
            lambda: build_timeutc(second),
            lambda: build_timels(second, change=rng.choice((-1, 0, 1)), event_in=rng.randrange(-(10**6), 10**7)),
            lambda: build_satellites(second, sky),
            lambda: build_svinfo(second, sky),
            lambda: build_dop(second, sky),
            lambda: build_eoe(second),
            lambda: build_radio(*[(rng.randrange(6), rng.randrange(4)) for _ in range(rng.randrange(4))]),
            lambda: build_hw(rng.randrange(6), rng.randrange(4)),
            lambda: build_security(rng.randrange(4), rng.randrange(8), version=rng.choice((1, 2))),
            lambda: build_tim_svin(duration, accuracy, running=running),
            lambda: build_nav_svin(second, duration, accuracy, running=running),
            lambda: build_pulse(second, rng.randrange(-(10**5), 10**5), utc=rng.random() < 0.5),
            lambda: build_frame(rng.choice((Kind.ACK_ACK, Kind.ACK_NAK)), bytes((6, rng.choice((0x01, 0x8A, 0x8B))))),
        )
        return rng.choice(builders)()

    def distort(self, frame: bytes) -> bytes:
        """Values that the checksum vouches for, and that no receiver should send."""
        payload = bytearray(frame[6:-2])
        for _ in range(self.random.choice((1, 2, 5))):
            payload[self.random.randrange(len(payload))] = self.random.choice((0, 1, 60, 0x7F, 0x80, 0xFF))
        return build_frame(frame[2] << 8 | frame[3], bytes(payload))

    def step(self, data: bytes) -> None:
        if self.setup.deadline is None and self.random.random() < 0.05:
            self.assembler = self.assemble()
            self.begin()
        super().step(data)

    def silence(self) -> None:
        """All that is unfinished ends, and what is not answered is asked again in time."""
        for _ in range(1 if self.patient else MOST_COMMANDS):
            deadline = self.assembler.deadline()
            if deadline is None:
                return
            self.now = max(self.now, deadline)
            for event in self.assembler.flush():
                self.check(event)
        assert self.patient, "a setup never ends"

    def is_bounded(self) -> bool:
        assert isinstance(self.assembler, UbxAssembler)
        return len(self.assembler._framer._held) <= LONGEST_FRAME and self.commands <= MOST_COMMANDS

    def check(self, event: Event) -> None:
        match event:
            case Command(data):
                self.commands += 1
                self.answers = (self.answers + self.receiver.hear(data))[-LONGEST_FRAME:]
            case Description(text):
                self.events[text] += 1
            case PulseCorrection(_, correction):
                assert abs(correction) <= MAX_CORRECTION_PS, "a correction that no pulse needs"
                super().check(event)
            case _:
                super().check(event)
