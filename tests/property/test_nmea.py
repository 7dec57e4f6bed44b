"""Whatever comes down the line: nothing raises, nothing whole is lost, nothing untrue is believed."""

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.dates import EARLIEST, LATEST
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.receivers.nmea import Event, NmeaAssembler
from ntp_usg.simulate.sentences import Sky, build_burst

FIRST, LAST = EARLIEST // NS_PER_SECOND, LATEST // NS_PER_SECOND - 1

GREENWICH = Position(51 + 28.674 / 60, -0.0882 / 60, 46.9)

seconds = st.integers(FIRST, LAST).map(lambda second: WallNs(second * NS_PER_SECOND))
skies = st.builds(Sky, satellites=st.integers(1, 24), quality=st.sampled_from(FixQuality))
noise = st.binary(max_size=80) | st.text("$*,\r\nGPRMCZDA0123456789ABCDEF", max_size=80).map(str.encode)
chunks = st.lists(st.tuples(noise, st.integers(0, 10**9)), max_size=20)


def assemble(*pieces: bytes) -> list[Event]:
    assembler = NmeaAssembler()
    events = [event for piece in pieces for event in assembler.feed(piece, HostNs(0), MonoNs(0))]
    return events + assembler.flush()


def messages(*pieces: bytes) -> list[TimeMessage]:
    return [event for event in assemble(*pieces) if isinstance(event, TimeMessage)]


@given(chunks)
def test_any_bytes_at_any_time_give_events_and_never_raise(pieces):
    assembler = NmeaAssembler()
    now = 0
    for data, pause in pieces:
        now += pause
        assert all(
            isinstance(event, TimeMessage | Fix | Verdict | Reception)
            for event in assembler.feed(data, HostNs(now), MonoNs(now))
        )
    assert len(assembler.flush()) <= 2


@given(seconds, skies)
def test_what_a_receiver_says_is_what_is_understood(second, sky):
    in_view = sky.used + 3
    hdop = round(6 / sky.used, 2) if sky.used else 99.99
    where, dimensions = (GREENWICH, 3) if sky.used else (None, None)
    fix = Fix(sky.quality, sky.used, in_view, hdop, pdop=hdop, dimensions=dimensions, position=where)
    arrivals = tuple((name, HostNs(0)) for name in ("RMC", "GGA", "GSA", "GSV", "GLL", "ZDA"))
    assert assemble(build_burst(second, sky)) == [TimeMessage(second, HostNs(0), fix, arrivals=arrivals)]


@given(seconds, skies, st.data())
def test_a_burst_may_be_split_anywhere(second, sky, data):
    burst = build_burst(second, sky)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(burst)), max_size=8)))
    pieces = [burst[start:end] for start, end in zip([0, *cuts], [*cuts, len(burst)], strict=True)]
    assert assemble(*pieces) == assemble(burst)


@given(seconds, skies, st.lists(noise, min_size=30, max_size=30))
def test_noise_between_sentences_harms_none_of_them(second, sky, noises):
    sentences = build_burst(second, sky).splitlines(keepends=True)
    pieces = [piece for pair in zip(noises, sentences, strict=False) for piece in pair]
    assert messages(*pieces) == messages(*sentences)


@given(seconds, skies, st.data())
def test_a_damaged_byte_costs_at_most_its_sentence(second, sky, data):
    sentences = build_burst(second, sky).splitlines(keepends=True)
    number = data.draw(st.integers(0, len(sentences) - 1))
    position = data.draw(st.integers(0, len(sentences[number]) - 1))
    damaged = bytearray(sentences[number])
    damaged[position] ^= data.draw(st.integers(1, 255))
    others = sentences[:number], sentences[number + 1 :]
    whole = messages(*sentences)
    assert messages(*others[0], bytes(damaged), *others[1]) in (whole, messages(*others[0], *others[1]))
