"""Whatever comes down the line: nothing raises, nothing whole is lost, nothing untrue is believed."""

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.dates import EARLIEST, LATEST
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.meinberg import Event, MeinbergAssembler, Radio, parse_telegram
from ntp_usg.simulate.meinberg import FORMATS, build_erlangen, build_standard, with_even_parity
from ntp_usg.simulate.sentences import Sky

FIRST, LAST = EARLIEST // NS_PER_SECOND + 86_400, LATEST // NS_PER_SECOND - 86_400  # in any time zone
OFFSETS = st.integers(-56, 56).map(lambda quarters: 15 * quarters)

seconds = st.integers(FIRST, LAST).map(lambda second: WallNs(second * NS_PER_SECOND))
builders = st.sampled_from(sorted(FORMATS)).map(FORMATS.__getitem__)
noise = st.binary(max_size=80) | st.text("\x02\x03D:;T.U #*SA0123456789", max_size=80).map(str.encode)


def assemble(*pieces: bytes) -> list[Event]:
    assembler = MeinbergAssembler(Radio.GPS, 3600)
    return [event for piece in pieces for event in assembler.feed(piece, HostNs(0), MonoNs(0))]


@given(st.lists(noise, max_size=20))
def test_any_bytes_give_events_and_never_raise(pieces):
    assert all(isinstance(event, TimeMessage | Verdict | Reception) for event in assemble(*pieces))


@given(seconds, OFFSETS)
def test_the_second_is_told_in_any_time_zone(second, minutes):
    assert parse_telegram(build_erlangen(second, Sky(), utc_offset_minutes=minutes)).utc(0) == second


@given(seconds, st.integers(-12, 14), st.booleans())
def test_the_second_is_told_in_summer_and_winter(second, hours, summer):
    data = build_standard(second, Sky(), zone_hours=hours, daylight_saving=summer)
    assert parse_telegram(data).utc(hours * 3600) == second


@given(seconds, builders, st.booleans(), st.data())
def test_a_telegram_may_be_split_anywhere_and_stand_in_noise(second, build, parity, data):
    telegram = build(second, Sky())
    telegram = with_even_parity(telegram) if parity else telegram
    before = data.draw(noise)
    cut = data.draw(st.integers(0, len(telegram)))
    (message,) = [e for e in assemble(before, telegram[:cut], telegram[cut:]) if isinstance(e, TimeMessage)][-1:]
    assert message.second == second


@given(seconds, builders, st.data())
def test_with_even_parity_a_byte_with_an_odd_number_of_wrong_bits_is_noticed(second, build, data):
    telegram = bytearray(with_even_parity(build(second, Sky())))
    position = data.draw(st.integers(0, len(telegram) - 1))
    telegram[position] ^= data.draw(st.integers(1, 255).filter(lambda bits: bits.bit_count() % 2))
    assert not [event for event in assemble(bytes(telegram)) if isinstance(event, TimeMessage)]
