"""Whatever comes down the line: nothing raises, nothing whole is lost, nothing untrue is believed."""

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.dates import EARLIEST, LATEST
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import TimeMessage
from ntp_usg.core.receivers.tsip import TsipAssembler
from ntp_usg.core.receivers.tsip_framing import Kind, TsipFramer, build_packet
from ntp_usg.simulate.sentences import Sky
from ntp_usg.simulate.tsip import build_palisade_burst, build_primary, build_satellites, build_supplemental

FIRST, LAST = EARLIEST // NS_PER_SECOND, LATEST // NS_PER_SECOND - 1
LENGTHS = {
    Kind.SATELLITES: 17,
    Kind.TRACKED_SATELLITES: 18,
    Kind.UTC_MODE: 1,
    Kind.BROADCAST_MASK: 4,
    Kind.PRIMARY_TIMING: 16,
    Kind.SUPPLEMENTAL_TIMING: 67,
    Kind.UTC_TIME: 21,
    Kind.COMPREHENSIVE_TIME: 73,
}

seconds = st.integers(FIRST, LAST).map(lambda second: WallNs(second * NS_PER_SECOND))
skies = st.builds(Sky, satellites=st.integers(1, 12))
nonsense = st.sampled_from(list(Kind)).flatmap(
    lambda kind: st.binary(min_size=LENGTHS[kind], max_size=LENGTHS[kind]).map(lambda data: build_packet(kind, data))
)
packets = st.builds(build_packet, st.integers(0x04, 0xFF).filter(lambda kind: kind != 0x10), st.binary(max_size=100))
noise = st.binary(max_size=80) | packets | nonsense


def burst(second, sky):
    return build_primary(second) + build_supplemental(sky) + build_satellites(sky)


def assemble(*pieces):
    assembler, now = TsipAssembler(), MonoNs(NS_PER_SECOND)
    return [event for piece in pieces for event in assembler.feed(piece, HostNs(0), now)] + assembler.flush()


@given(st.lists(st.tuples(noise, st.integers(0, 10**9)), max_size=20), st.booleans())
def test_any_bytes_at_any_time_give_events_and_never_raise(pieces, configure):
    assembler, now = TsipAssembler(configure=configure), 0
    assembler.opened(MonoNs(0))
    for data, pause in pieces:
        now += pause
        for event in assembler.feed(data, HostNs(now), MonoNs(now)):
            assert not isinstance(event, TimeMessage) or event.second >= FIRST * NS_PER_SECOND
    assembler.flush()
    assert assembler.deadline() is None


@given(st.binary(max_size=100))
def test_any_data_comes_through_the_stuffing(data):
    (packet,) = TsipFramer().feed(build_packet(0x8FAB, data), HostNs(0))
    assert packet.data == data


@given(seconds, skies)
def test_what_a_receiver_says_is_what_is_understood(second, sky):
    (message,) = assemble(burst(second, sky))
    assert (message.second, message.fix.satellites_used) == (second, sky.used)
    (message,) = assemble(build_palisade_burst(second, sky))
    assert (message.second, message.fix.satellites_used) == (second, min(sky.used, 8))


@given(seconds, skies, st.data())
def test_a_burst_may_be_split_anywhere(second, sky, data):
    whole = burst(second, sky)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert assemble(*pieces) == assemble(whole)


@given(seconds, seconds, skies, st.data())
def test_a_damaged_byte_never_makes_another_time(first, second, sky, data):
    damaged = bytearray(build_primary(first))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    events = assemble(bytes(damaged), build_supplemental(sky), build_primary(second), build_supplemental(sky))
    named = {event.second for event in events if isinstance(event, TimeMessage)}
    assert named <= {first, second}
    assert second in named
