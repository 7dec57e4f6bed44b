"""One edge a pulse, however many the line captures."""

from dataclasses import replace

import pytest

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import Pulse, PulseEnd
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.receivers.pulses import CaptureMode, EdgeCounter, EdgePicker

SECOND, WIDTH = 10**9, 10**8
REPEATED = Verdict(Outcome.REJECTED, Reason.REPEATED)


def assert_edge(sequence: int) -> Pulse:
    return Pulse(HostNs(sequence * SECOND), sequence)


def clear_edge(sequence: int) -> Pulse:
    return Pulse(HostNs(sequence * SECOND + WIDTH * bool(sequence)), sequence)


def pick(mode: CaptureMode, *records: tuple[int, int]) -> list[Pulse | Verdict | None]:
    """What is picked from records of (assert sequence, clear sequence); the first one is there at the start."""
    picker = EdgePicker(mode, assert_edge(records[0][0]), clear_edge(records[0][1]))
    picked = [picker.receive(assert_edge(asserts), clear_edge(clears)) for asserts, clears in records[1:]]
    return [replace(each, end=PulseEnd.UNKNOWN) if isinstance(each, Pulse) else each for each in picked]


def ends(
    mode: CaptureMode, width: float, *, rate: int = 1, long_pulse: bool = False, inverted: bool = False
) -> tuple[set[float], set[PulseEnd]]:
    """When in the period edges of pulses of a width are picked, and which ends they are, once both were seen."""
    periods = [round(number * SECOND / rate) for number in range(1, 10)]
    begin, end = Pulse(HostNs(0), 0), Pulse(HostNs(0), 0)
    picker = EdgePicker(mode, begin, end, period=1 / rate, long_pulse=long_pulse)
    picked = []
    for number, second in enumerate(periods, 1):
        begin = Pulse(HostNs(second), number)
        picked.append(picker.receive(*((end, begin) if inverted else (begin, end))))
        end = Pulse(HostNs(second + round(width * SECOND)), number)
        picked.append(picker.receive(*((end, begin) if inverted else (begin, end))))
    pulses = [each for each in picked[4:] if isinstance(each, Pulse)]
    return {pulse.edge_at * rate % SECOND / SECOND / rate for pulse in pulses}, {pulse.end for pulse in pulses}


def test_the_record_that_is_there_at_the_start_is_no_pulse():
    assert pick(CaptureMode.ASSERT, (7, 0), (7, 0), (8, 0)) == [REPEATED, assert_edge(8)]


@pytest.mark.parametrize(("mode", "expected"), [
    (CaptureMode.ASSERT, [assert_edge(8), None, assert_edge(9), None]),
    (CaptureMode.CLEAR, [None, clear_edge(8), None, clear_edge(9)]),
    (CaptureMode.BOTH, [assert_edge(8), None, assert_edge(9), None]),
])  # fmt: skip
def test_of_two_edges_one_marks_the_second(mode, expected):
    assert pick(mode, (7, 7), (8, 7), (8, 8), (9, 8), (9, 9)) == expected


def test_with_both_a_line_that_never_asserts_is_read_by_its_clear_edges():
    assert pick(CaptureMode.BOTH, (0, 0), (0, 1), (0, 2)) == [clear_edge(1), clear_edge(2)]


def test_with_both_a_clear_edge_never_stands_in_for_a_missing_assert():
    assert pick(CaptureMode.BOTH, (5, 5), (5, 6), (5, 7), (6, 7), (6, 8)) == [None, None, assert_edge(6), None]


def test_the_same_record_twice_is_repeated():
    assert pick(CaptureMode.ASSERT, (1, 0), (2, 0), (2, 0), (3, 0)) == [assert_edge(2), REPEATED, assert_edge(3)]


def test_sequences_may_wrap_skip_and_start_again():
    last = 2**32 - 1
    picked = pick(CaptureMode.BOTH, (last, last), (0, last), (0, 0), (1, 0), (1, 1), (5, 5), (2, 0))
    assert [pulse and pulse.sequence for pulse in picked if not isinstance(pulse, Verdict)] == [0, None, 1, None, 5, 2]


def test_a_line_that_has_asserted_is_never_again_read_by_its_clear_edges():
    # 2**32 - 1 -> 0 is an ordinary step: sequence 0 then no longer means that no edge ever came.
    assert pick(CaptureMode.BOTH, (2**32 - 1, 3), (0, 3), (0, 4)) == [assert_edge(0), None]


def edges_of(active: bool, *changes: tuple[int, bool]) -> list[tuple[int, int]]:
    """The times of the latest assert and clear edge after each change, told by its time and the level then."""
    counter = EdgeCounter(active=active)
    found = [counter.changed(HostNs(at), active=level) for at, level in changes]
    return [(edges.asserted.edge_at, edges.cleared.edge_at) for edges in found]


def test_the_level_after_a_change_tells_the_edge():
    assert edges_of(False, (100, True), (200, False), (300, True)) == [(100, 0), (100, 200), (300, 200)]


def test_a_level_that_is_as_before_has_had_both_edges():
    assert edges_of(False, (100, False), (200, False)) == [(100, 100), (200, 200)]


def test_a_line_that_is_active_at_first_clears_first():
    assert edges_of(True, (100, False), (200, True)) == [(0, 100), (200, 100)]


def test_the_end_of_a_pulse_that_had_begun_before_marks_no_second():
    counter = EdgeCounter(active=True)
    picker = EdgePicker(CaptureMode.BOTH, *counter.edges)
    assert picker.receive(*counter.changed(HostNs(WIDTH), active=False)) is None
    assert picker.receive(*counter.changed(HostNs(SECOND), active=True)) == Pulse(HostNs(SECOND), 2, end=PulseEnd.BEGIN)


def test_sequences_count_edges_of_their_kind():
    counter = EdgeCounter(active=False)
    for at, level in ((1, True), (2, False), (3, False)):
        counter.changed(HostNs(at), active=level)
    assert (counter.edges.asserted.sequence, counter.edges.cleared.sequence) == (2, 2)


@pytest.mark.parametrize("width", [0.001, 0.1, 0.2, 0.4])
@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("mode", CaptureMode)
def test_the_record_of_both_edges_shows_which_of_them_begins_the_pulse(mode, inverted, width):
    asserts = mode is not CaptureMode.CLEAR
    if mode is CaptureMode.BOTH or asserts is not inverted:
        assert ends(mode, width, inverted=inverted) == ({0.0}, {PulseEnd.BEGIN})
    else:
        assert ends(mode, width, inverted=inverted) == ({width}, {PulseEnd.END})


@pytest.mark.parametrize("mode", CaptureMode)
def test_of_a_pulse_that_lasts_for_half_of_the_time_nobody_knows_the_end(mode):
    assert ends(mode, 0.5) == ({0.5 if mode is CaptureMode.CLEAR else 0.0}, {PulseEnd.EVEN})


def test_of_a_long_pulse_the_edge_that_begins_the_longer_part_is_the_begin():
    assert ends(CaptureMode.ASSERT, 0.8) == ({0.0}, {PulseEnd.END})
    assert ends(CaptureMode.ASSERT, 0.8, long_pulse=True) == ({0.0}, {PulseEnd.BEGIN})
    assert ends(CaptureMode.BOTH, 0.8, long_pulse=True) == ({0.0}, {PulseEnd.BEGIN})


def test_the_width_counts_as_a_share_of_the_configured_period():
    assert ends(CaptureMode.ASSERT, 0.02, rate=10) == ({0.0}, {PulseEnd.BEGIN})
    assert ends(CaptureMode.ASSERT, 0.08, rate=10) == ({0.0}, {PulseEnd.END})


def test_an_edge_whose_other_end_is_not_captured_may_be_either():
    picker = EdgePicker(CaptureMode.ASSERT, assert_edge(1), clear_edge(0))
    assert picker.receive(assert_edge(2), clear_edge(0)) == Pulse(HostNs(2 * SECOND), 2, end=PulseEnd.UNKNOWN)


def test_an_edge_that_comes_long_after_the_other_end_may_be_either():
    picker = EdgePicker(CaptureMode.ASSERT, assert_edge(1), clear_edge(1))
    assert picker.receive(assert_edge(5), clear_edge(1)) == Pulse(HostNs(5 * SECOND), 5, end=PulseEnd.UNKNOWN)
