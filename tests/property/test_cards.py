"""Clocks on cards and real-time clocks: what is promised of a reading is kept, however the readings fell."""

from hypothesis import given, target
from hypothesis import strategies as st

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.receivers.phc import CrossStamp, Pulses, measure, tightest
from ntp_usg.core.receivers.rtc import SecondHand

HOST = 1_795_300_000 * NS_PER_SECOND
delays = st.integers(0, 1_000_000)
offsets = st.integers(-(10**18), 10**18)
rates_ppm = st.integers(-200, 200)


def card_at(host: int, offset_ns: int, rate_ppm: int) -> int:
    """A clock that is read while the host's clock shows `host`."""
    return host + offset_ns + (host - HOST) * rate_ppm // 1_000_000


@given(st.lists(st.tuples(delays, delays), min_size=1, max_size=25), offsets)
def test_the_tightest_bracket_holds_the_truth_and_none_is_tighter(parts, offset_ns):
    stamps, now = [], HOST
    for before, after in parts:
        stamps.append(CrossStamp(HostNs(now), now + before + offset_ns, HostNs(now + before + after)))
        now += before + after
    reading = measure(tightest(stamps))
    assert abs(reading.offset_ns - offset_ns) <= reading.dispersion * NS_PER_SECOND
    assert reading.dispersion * 2e9 <= min(before + after for before, after in parts) + 2.001


@given(
    offsets,
    rates_ppm,
    st.lists(st.tuples(st.integers(1000, 50_000_000), delays, delays), min_size=2, max_size=6),
)
def test_an_edge_is_brought_to_the_host_within_the_brackets_whatever_the_cards_rate(offset_ns, rate_ppm, parts):
    pulses = Pulses()
    widest = 0
    pulses.compare(CrossStamp(HostNs(HOST), card_at(HOST, offset_ns, rate_ppm), HostNs(HOST)))
    for number, (late, before, after) in enumerate(parts, start=1):
        edge = HOST + number * NS_PER_SECOND
        read = edge + late + before
        pulses.compare(CrossStamp(HostNs(edge + late), card_at(read, offset_ns, rate_ppm), HostNs(read + after)))
        found = pulses.host(card_at(edge, offset_ns, rate_ppm))
        assert found is not None
        widest = max(widest, before + after)
        # Half a bracket of the latest comparison, and what both brackets do to the rate over the edge's lateness.
        assert abs(found - edge) <= (before + after) / 2 + widest * 0.12 + 3


@given(offsets, st.integers(0, 20_000_000), st.lists(st.tuples(st.integers(1, 30_000_000), delays), min_size=2))
def test_a_second_that_was_seen_to_begin_began_within_the_promise(offset_ns, early, looks):
    hand, now, found = SecondHand(), HOST - (HOST + offset_ns) % NS_PER_SECOND - early, 0
    for pause, delay in looks:
        read = now + delay // 2
        second = (read + offset_ns) // NS_PER_SECOND * NS_PER_SECOND
        reading = hand.look(HostNs(now), WallNs(second), HostNs(now + delay))
        if reading is not None:
            assert abs(reading.offset_ns - offset_ns) <= reading.dispersion * NS_PER_SECOND + 1
            found += 1
        now += delay + pause
    target(found)
