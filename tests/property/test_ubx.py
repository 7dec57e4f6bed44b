"""Whatever comes down the line: nothing raises, nothing whole is lost, nothing untrue is believed."""

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.ubx import UbxAssembler
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import build_pulse, build_ubx_burst

FIRST, LAST = 1_767_225_600, 4_102_444_799  # 2026 to 2099, through the NTP era of 2036 and several GPS eras

seconds = st.integers(FIRST, LAST).map(lambda second: WallNs(second * NS_PER_SECOND))
qualities = st.sampled_from([quality for quality in FixQuality if quality.rank and quality is not FixQuality.PPS])
skies = st.builds(Sky, satellites=st.integers(1, 24), quality=qualities)
frames = st.builds(build_frame, st.sampled_from(list(Kind)), st.binary(max_size=100))
LENGTHS = {
    Kind.NAV_STATUS: 16,
    Kind.NAV_PVT: 92,
    Kind.NAV_TIMEUTC: 20,
    Kind.NAV_TIMELS: 24,
    Kind.NAV_SAT: 32,
    Kind.MON_HW: 60,
    Kind.MON_RF: 28,
    Kind.TIM_TP: 16,
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
    assembler, now = UbxAssembler(), 0
    for data, pause in pieces:
        now += pause
        for event in assembler.feed(data, HostNs(now), MonoNs(now)):
            assert isinstance(event, TimeMessage | Fix | Verdict | PulseCorrection | Reception)
            assert not isinstance(event, TimeMessage) or event.second >= FIRST * NS_PER_SECOND
    assembler.flush()
    assert assembler.deadline() is None


@given(seconds, skies)
def test_what_a_receiver_says_is_what_is_understood(second, sky):
    fix = Fix(sky.quality, satellites_used=sky.used, satellites_in_view=sky.used + 3)
    following = WallNs(second + NS_PER_SECOND)
    assert assemble(build_ubx_burst(second, sky)) == [
        PulseCorrection(following, 0),
        TimeMessage(second, HostNs(0), fix, leap=0),
    ]


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
