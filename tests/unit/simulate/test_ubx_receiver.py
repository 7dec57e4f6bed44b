"""A receiver that can be told: what it announces is what it does, and it hears whole frames only."""

from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import PulseCorrection, Reception
from ntp_usg.core.receivers.ubx import UbxAssembler
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx_receiver import MODELS, UbxReceiver

SECOND = WallNs(1_771_243_200 * NS_PER_SECOND)


def switched_on(*kinds, model="8T", sawtooth=None):
    receiver = UbxReceiver(MODELS[model], sawtooth)
    for kind in kinds:
        assert receiver.hear(build_frame(Kind.CFG_MSG, kind.to_bytes(2, "big") + b"\1")).startswith(b"\xb5\x62\x05\x01")
    return receiver


def test_it_speaks_nmea_only_when_it_comes_from_the_factory():
    assert UbxReceiver(MODELS["8T"]).say(SECOND, Sky()) == build_burst(SECOND, Sky())


def test_what_it_announces_of_a_pulse_brings_the_pulse_to_its_second():
    sawtooth = Sawtooth(20.0)
    receiver, assembler = switched_on(Kind.TIM_TP, sawtooth=sawtooth), UbxAssembler()
    for number in range(20):
        (correction,) = assembler.feed(
            receiver.say(WallNs(SECOND + number * NS_PER_SECOND), Sky()), HostNs(0), MonoNs(0)
        )
        assert isinstance(correction, PulseCorrection)
        assert correction.second == SECOND + (number + 1) * NS_PER_SECOND
        assert sawtooth.error_ps(correction.second) + correction.correction_ps == 0


def test_it_tells_what_ails_antenna_and_air():
    receiver, assembler = switched_on(Kind.MON_HW, Kind.NAV_STATUS), UbxAssembler()
    sky = Sky(antenna="open", jammed=True, forged=True)
    told = [
        event
        for event in assembler.feed(receiver.say(SECOND, sky), HostNs(0), MonoNs(0))
        if isinstance(event, Reception)
    ]
    assert {trouble.doubt for trouble in told[-1].troubles} == {Doubt.ANTENNA, Doubt.JAMMING, Doubt.SPOOFING}


def test_frames_may_come_in_pieces_and_among_noise():
    receiver = UbxReceiver(MODELS["8T"])
    question = build_frame(Kind.MON_VER, b"")
    assert receiver.hear(b"$noise\xb5" + question[:3]) == b""
    assert b"NEO-M8T" in receiver.hear(question[3:])
    assert receiver.hear(bytes(5_000)) == b""
    assert receiver.hear(question[:-1] + b"\0") == b""


def test_keys_that_it_does_not_know_are_refused_whole():
    receiver = UbxReceiver(MODELS["10"])
    known, unknown = b"\x21\0\x11\x20\2", b"\1\0\3\x20\1"  # the dynamic model; a timing mode, which it has not
    refusal = build_frame(Kind.ACK_NAK, b"\x06\x8a")
    assert receiver.hear(build_frame(Kind.CFG_VALSET, b"\0\1\0\0" + known + unknown)) == refusal
    answer = receiver.hear(build_frame(Kind.CFG_VALGET, bytes(4) + known[:4]))
    assert answer.startswith(build_frame(Kind.CFG_VALGET, b"\1\0\0\0" + known[:4] + b"\0"))
