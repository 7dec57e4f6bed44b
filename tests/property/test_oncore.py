"""Whatever comes down the line: nothing raises, nothing whole is lost, nothing untrue is believed."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.dates import EARLIEST, LATEST
from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, MonoNs, WallNs
from ntp_usg.core.base.samples import Position, PulseCorrection, TimeMessage
from ntp_usg.core.receivers.oncore import OncoreAssembler
from ntp_usg.core.receivers.oncore_framing import LENGTHS, Kind, build_message
from ntp_usg.core.receivers.oncore_messages import build_position, parse_position
from ntp_usg.core.receivers.oncore_setup import OncoreSettings
from ntp_usg.core.receivers.oncore_survey import Survey, build_survey, parse_survey
from ntp_usg.simulate.oncore import build_position_12, build_raim
from ntp_usg.simulate.sentences import Sky

FIRST, LAST = EARLIEST // NS_PER_SECOND, LATEST // NS_PER_SECOND - 1

seconds = st.integers(FIRST, LAST).map(lambda second: WallNs(second * NS_PER_SECOND))
skies = st.builds(Sky, satellites=st.integers(1, 12))
nonsense = st.sampled_from(list(Kind)).flatmap(
    lambda kind: st.binary(min_size=LENGTHS[kind] - 7, max_size=LENGTHS[kind] - 7).map(
        lambda data: build_message(kind, data)
    )
)
noise = (
    st.binary(max_size=80) | st.builds(build_message, st.sampled_from(list(Kind)), st.binary(max_size=40)) | nonsense
)
positions = st.builds(Position, st.floats(-90, 90), st.floats(-180, 180), st.floats(-1000, 18_000))


def assemble(*pieces):
    assembler, now = OncoreAssembler(OncoreSettings(configure=False)), MonoNs(NS_PER_SECOND)
    return [event for piece in pieces for event in assembler.feed(piece, HostNs(0), now)]


@given(st.lists(st.tuples(noise, st.integers(0, 10**9)), max_size=20), st.booleans())
def test_any_bytes_at_any_time_give_events_and_never_raise(pieces, configure):
    assembler, now = OncoreAssembler(OncoreSettings(configure=configure, survey_fixes=2)), 0
    assembler.opened(MonoNs(0))
    for data, pause in pieces:
        now += pause
        for event in assembler.feed(data, HostNs(now), MonoNs(now)):
            assert not isinstance(event, TimeMessage) or event.second >= FIRST * NS_PER_SECOND
    assert parse_survey(build_survey(assembler.survey)) == assembler.survey


@given(seconds, skies, st.integers(-128, 127), st.data())
def test_what_a_receiver_says_is_understood_however_it_is_split(second, sky, sawtooth, data):
    burst = build_position_12(second, sky) + build_raim(Kind.RAIM_12, sawtooth)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(burst)), max_size=8)))
    pieces = [burst[start:end] for start, end in zip([0, *cuts], [*cuts, len(burst)], strict=True)]
    events = assemble(*pieces)
    (message,) = (event for event in events if isinstance(event, TimeMessage))
    (correction,) = (event for event in events if isinstance(event, PulseCorrection))
    assert (message.second, message.fix.satellites_used) == (second, sky.used)
    assert correction == PulseCorrection(WallNs(second + NS_PER_SECOND), sawtooth * 1000)


@given(seconds, seconds, skies, st.data())
def test_a_damaged_byte_costs_at_most_its_message(first, second, sky, data):
    damaged = bytearray(build_position_12(first, sky))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= data.draw(st.integers(1, 255))
    events = assemble(bytes(damaged), build_position_12(second, sky))
    assert [event.second for event in events if isinstance(event, TimeMessage)] == [second]


@given(positions)
def test_a_position_goes_over_the_line_and_back(position):
    assert parse_position(build_position(position)).distance_m(position) < 0.05


@given(st.lists(positions, min_size=1, max_size=200))
def test_any_survey_can_be_kept_and_read(fixes):
    survey = Survey()
    for fix in fixes:
        survey = survey.add(fix)
    assert parse_survey(build_survey(survey)) == survey


@given(st.binary(max_size=200) | st.text(alphabet='{}":,0123456789.eE-countlsrgxh_m', max_size=100).map(str.encode))
def test_any_file_is_a_survey_or_refused(data):
    with contextlib.suppress(WireError):
        parse_survey(data)
