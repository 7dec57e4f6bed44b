"""Whatever comes down the line: nothing raises, nothing whole is lost, nothing untrue is believed."""

from hypothesis import given, settings
from hypothesis import strategies as st

from ntp_usg.core.base.dates import EARLIEST, LATEST
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import FixQuality, PulseCorrection, TimeMessage
from ntp_usg.core.receivers.commands import Command, Description
from ntp_usg.core.receivers.ubx import Event, UbxAssembler
from ntp_usg.core.receivers.ubx_framing import Kind, UbxFrame, UbxFramer, build_frame
from ntp_usg.core.receivers.ubx_settings import Placement
from ntp_usg.core.receivers.ubx_setup import UbxSetup
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import build_pulse, build_ubx_burst
from ntp_usg.simulate.ubx_receiver import MODELS, UbxReceiver

FIRST, LAST = EARLIEST // NS_PER_SECOND, LATEST // NS_PER_SECOND - 1

seconds = st.integers(FIRST, LAST).map(lambda second: WallNs(second * NS_PER_SECOND))
qualities = st.sampled_from([quality for quality in FixQuality if quality.rank and quality is not FixQuality.PPS])
skies = st.builds(Sky, satellites=st.integers(1, 24), quality=qualities)
frames = st.builds(build_frame, st.sampled_from(list(Kind)), st.binary(max_size=100))
LENGTHS = {
    Kind.NAV_STATUS: 16,
    Kind.NAV_DOP: 18,
    Kind.NAV_PVT: 92,
    Kind.NAV_TIMEUTC: 20,
    Kind.NAV_TIMELS: 24,
    Kind.NAV_SVINFO: 32,
    Kind.NAV_SAT: 32,
    Kind.NAV_SVIN: 40,
    Kind.NAV_EOE: 4,
    Kind.ACK_NAK: 2,
    Kind.ACK_ACK: 2,
    Kind.CFG_PRT: 20,
    Kind.CFG_MSG: 8,
    Kind.CFG_RATE: 6,
    Kind.CFG_NAV5: 36,
    Kind.CFG_TP5: 32,
    Kind.CFG_ITFM: 8,
    Kind.CFG_TMODE2: 28,
    Kind.CFG_TMODE3: 40,
    Kind.CFG_VALSET: 9,
    Kind.CFG_VALGET: 14,
    Kind.MON_VER: 100,
    Kind.MON_HW: 60,
    Kind.MON_RF: 28,
    Kind.TIM_TP: 16,
    Kind.TIM_SVIN: 28,
    Kind.SEC_SIG: 12,
}
nonsense = st.sampled_from(list(Kind)).flatmap(
    lambda kind: st.binary(min_size=LENGTHS[kind], max_size=LENGTHS[kind]).map(lambda data: build_frame(kind, data))
)
noise = st.binary(max_size=80) | frames | nonsense
text = st.binary(max_size=80).map(lambda data: data.replace(b"\xb5", b""))


def assemble(*pieces):
    assembler = UbxAssembler()
    return [event for piece in pieces for event in assembler.feed(piece, HostNs(0), MonoNs(0))] + assembler.flush()


@given(st.lists(st.tuples(noise, st.integers(0, 10**9)), max_size=20))
def test_any_bytes_at_any_time_give_events_and_never_raise(pieces):
    assembler, now = UbxAssembler(UbxSetup(Placement(600, 2.0))), 0
    assembler.opened(MonoNs(0))
    for data, pause in pieces:
        now += pause
        for event in assembler.feed(data, HostNs(now), MonoNs(now)):
            assert isinstance(event, Event)
            assert not isinstance(event, TimeMessage) or event.second >= FIRST * NS_PER_SECOND
    assembler.flush()
    while (deadline := assembler.deadline()) is not None:  # a setup comes to an end whatever it hears
        assert deadline > now
        now = deadline
        assembler.flush()


answers = st.sampled_from(["whole", "nothing", "noise", "refusal", "other"])


@settings(max_examples=50)
@given(st.sampled_from(sorted(MODELS)), st.lists(answers, max_size=60), st.binary(max_size=40))
def test_a_setup_ends_however_its_receiver_answers_and_says_what_was_refused(model, fates, junk):
    receiver, setup, now = UbxReceiver(MODELS[model]), UbxSetup(Placement(600, 2.0)), 0
    events, steps = setup.start(MonoNs(0)), 0
    for fate in [*fates, *["whole"] * 500]:
        if setup.deadline is None:
            break
        steps += 1
        question = next(event.data for event in events if isinstance(event, Command))
        answer = receiver.hear(question)
        wrong = {"nothing": b"", "noise": junk, "refusal": build_frame(Kind.ACK_NAK, question[2:4])}
        spoken = wrong.get(fate, answer) if fate != "other" else build_frame(Kind.CFG_MSG, b"\1\2" + bytes(6)) + answer
        events = []
        for frame in UbxFramer().feed(spoken, HostNs(0)):
            if isinstance(frame, UbxFrame):
                events += setup.receive(frame, MonoNs(now))
        if not events and setup.deadline is not None:
            now = setup.deadline
            events = setup.timer(MonoNs(now))
    assert setup.deadline is None
    assert steps < 400
    assert isinstance(events[-1], Description)


@given(seconds, skies)
def test_what_a_receiver_says_is_what_is_understood(second, sky):
    correction, message = assemble(build_ubx_burst(second, sky))
    assert correction == PulseCorrection(WallNs(second + NS_PER_SECOND), 0)
    assert (message.second, message.received_at, message.leap) == (second, 0, 0)
    assert (message.fix.quality, message.fix.satellites_used) == (sky.quality, sky.used)
    assert message.fix.satellites_in_view == sky.used + 3


@given(seconds, skies, st.data())
def test_a_burst_may_be_split_anywhere_and_nmea_come_between(second, sky, data):
    burst = build_burst(second, sky) + build_ubx_burst(second, sky) + build_burst(second, sky)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(burst)), max_size=8)))
    pieces = [burst[start:end] for start, end in zip([0, *cuts], [*cuts, len(burst)], strict=True)]
    assert assemble(*pieces) == assemble(build_ubx_burst(second, sky))


@given(seconds, text, text)
def test_text_around_a_frame_does_it_no_harm(second, before, after):
    assert assemble(before, build_pulse(second, 7), after) == [PulseCorrection(second, 7)]


@given(seconds, seconds, st.data())
def test_a_damaged_byte_costs_at_most_its_frame(first, second, data):
    damaged = bytearray(build_pulse(first))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    events = assemble(bytes(damaged), build_pulse(second, 9))
    assert [event for event in events if isinstance(event, PulseCorrection)] == [PulseCorrection(second, 9)]
