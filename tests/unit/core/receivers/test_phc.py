"""Clocks on cards: the structures, the bracket, and pulses brought to the host's clock."""

import struct
from collections.abc import Iterable

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs
from ntp_usg.core.receivers import phc
from ntp_usg.core.receivers.phc import CrossStamp, Edge, PhcCapabilities, Pulses

HOST = 1_795_300_000 * NS_PER_SECOND
CARD = 37 * NS_PER_SECOND + HOST


def times(instants: Iterable[int]) -> bytes:
    return b"".join(struct.pack("=qI4x", *divmod(instant, NS_PER_SECOND)) for instant in instants)


def stamp(before: int, card: int, after: int) -> CrossStamp:
    return CrossStamp(HostNs(HOST + before), CARD + card, HostNs(HOST + after))


def test_capabilities_are_read():
    data = struct.pack("=7i52x", 10**9, 1, 4, 2, 1, 3, 1)
    assert phc.parse_capabilities(data) == PhcCapabilities(channels=4, pins=3, cross_stamps=True)


@pytest.mark.parametrize("counts", [(-1, 0), (0, -1)])
def test_a_clock_with_fewer_than_no_inputs_is_refused(counts):
    with pytest.raises(WireError, match="channels"):
        phc.parse_capabilities(struct.pack("=7i52x", 0, 0, counts[0], 0, 0, counts[1], 0))


def test_the_oldest_reading_shares_host_times_between_neighbours():
    data = struct.pack("=I12x", 2) + times([HOST, CARD + 4, HOST + 10, CARD + 16, HOST + 30])
    assert phc.parse_offset(data.ljust(phc.OFFSET.size, b"\0"), 2) == [stamp(0, 4, 10), stamp(10, 16, 30)]


def test_the_extended_reading_has_host_times_of_its_own_for_each_sample():
    data = struct.pack("=I12x", 2) + times([HOST, CARD + 1, HOST + 2, HOST + 100, CARD + 105, HOST + 110])
    assert phc.parse_extended(data.ljust(phc.EXTENDED.size, b"\0"), 2) == [stamp(0, 1, 2), stamp(100, 105, 110)]


def test_a_full_reading_of_either_kind_fits():
    count = phc.MAX_SAMPLES
    assert len(phc.parse_offset(bytes(phc.OFFSET.size), count)) == count
    assert len(phc.parse_extended(bytes(phc.EXTENDED.size), count)) == count


def test_the_precise_reading_has_no_width():
    assert phc.parse_precise(times([CARD + 7, HOST + 7, 12345]) + bytes(16)) == stamp(7, 7, 7)


def test_an_edge_is_read():
    data = times([CARD + 5]) + struct.pack("=II8x", 3, 1)
    assert phc.parse_edge(data) == Edge(3, CARD + 5)


def test_times_before_1970_have_positive_nanoseconds():
    assert phc.parse_edge(times([-1]) + bytes(16)).card_ns == -1


@pytest.mark.parametrize("parse", [phc.parse_capabilities, phc.parse_precise, phc.parse_edge])
@pytest.mark.parametrize("size", [0, 16, 63, 81])
def test_other_lengths_are_refused(parse, size):
    with pytest.raises(WireError, match="were expected"):
        parse(bytes(size))


def test_nanoseconds_that_make_a_second_are_refused():
    with pytest.raises(WireError, match="1000000000 nanoseconds"):
        phc.parse_edge(struct.pack("=qI4xII8x", 0, NS_PER_SECOND, 0, 0))


def test_the_tightest_bracket_counts():
    assert phc.tightest([stamp(0, 5, 10), stamp(20, 22, 24), stamp(30, 33, 39)]) == stamp(20, 22, 24)


def test_brackets_over_which_the_host_was_set_back_do_not():
    assert phc.tightest([stamp(20, 0, -1), stamp(30, 33, 39)]) == stamp(30, 33, 39)
    with pytest.raises(WireError, match="was set"):
        phc.tightest([stamp(20, 0, -1)])


def test_a_measurement_holds_the_truth_wherever_in_the_bracket_the_card_was_read():
    for truth_ns in (0, 500, 1000):
        reading = phc.measure(stamp(0, truth_ns, 1000), tai_offset=37)
        assert abs(reading.offset_ns) <= reading.dispersion * 1e9
    assert reading.at == HOST + 500
    assert reading.dispersion == pytest.approx(501e-9)


def pulses(*stamps: CrossStamp) -> Pulses:
    found = Pulses()
    for each in stamps:
        found.compare(each)
    return found


def test_an_edge_is_brought_to_the_host_by_the_latest_comparison():
    assert pulses(stamp(-10, 0, 10)).host(CARD - 1_000_000) == HOST - 1_000_000


def test_between_two_comparisons_the_rate_of_the_clocks_counts():
    second = NS_PER_SECOND
    host = pulses(stamp(0, 0, 0), stamp(second + 100_000, second, second + 100_000)).host(CARD + second // 2)
    assert host == HOST + second // 2 + 50_000


@pytest.mark.parametrize("later", [stamp(1, 10**9, 1), stamp(10**9, -(10**9), 10**9), stamp(1000, 1000, 1000)])
def test_after_a_step_or_at_once_the_rate_is_not_believed(later):
    assert pulses(stamp(0, 0, 0), later).host(later.card_ns - 1_000_000) == later.host - 1_000_000


def test_an_edge_far_from_all_comparisons_cannot_be_brought_to_the_host():
    assert pulses(stamp(0, 0, 0)).host(CARD + 3 * NS_PER_SECOND) is None
    assert pulses(stamp(0, 0, 0)).host(CARD - 3 * NS_PER_SECOND) is None


def edges(*seconds: float) -> list[bool]:
    found = Pulses()
    return [found.marks_second(CARD + round(at * NS_PER_SECOND)) for at in seconds]


def test_every_edge_but_the_first_marks_a_second():
    assert edges(0, 1, 2, 3) == [False, True, True, True]


def test_of_both_edges_of_a_pulse_the_first_marks_the_second():
    assert edges(0, 0.1, 1, 1.1, 2, 2.1) == [False, False, True, False, True, False]
    assert edges(0.1, 1, 1.1, 2) == [False, True, False, True]


def test_a_card_that_was_set_back_starts_anew():
    assert edges(100, 101, 5, 6) == [False, True, False, True]
