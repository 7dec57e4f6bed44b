"""What a line of pulses promises of itself."""

import pytest

from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.base.actions import Note
from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.engine.numbering import Naming
from ntp_usg.core.engine.pulse_line import PULSE_NOISE, PulseLine
from ntp_usg.core.engine.settings import PulseSettings


def build_line(name: str, driver: str) -> PulseLine:
    settings = PulseSettings(
        name=name, driver=driver, device="/dev/ttyS0", reference_id=b"PPS", timeout=2.0, accuracy=3e-6
    )
    return PulseLine(settings, SampleHistory(PULSE_NOISE), MonoNs(0))


@pytest.fixture
def line() -> PulseLine:
    return build_line("PPS(0)", "pps")


def test_exact_stamps_are_off_by_what_the_line_always_is(line: PulseLine):
    assert line.accuracy == 3e-6


def test_uncertain_stamps_may_all_be_off_to_the_same_side(line: PulseLine):
    for uncertainty in (20e-6, 50e-6, 10e-6):
        line.stamped_within(uncertainty)
    assert line.accuracy == pytest.approx(53e-6)


def test_an_uncertain_stamp_is_forgotten(line: PulseLine):
    for uncertainty in (50e-6, *(1e-6,) * PulseLine.RATE_WINDOW):
        line.stamped_within(uncertainty)
    assert line.accuracy == pytest.approx(4e-6)


def pulse_late(line: PulseLine, *late_us: float) -> None:
    line.numbering.message("GPS(0)", Naming(second=WallNs(0), received_at=RawNs(100_000_000)))
    for second, late in enumerate(late_us, 10):
        line.pulse(RawNs(second * 10**9 + round(late * 1000)), MonoNs(second * 10**9), predicted_ns=0)


def test_stamps_that_scatter_may_all_be_late(line: PulseLine):
    pulse_late(line, *(200.0 * (number % 3) for number in range(64)))
    assert 200e-6 < line.accuracy < 400e-6


def test_scatter_that_the_stamps_have_declared_counts_once(line: PulseLine):
    line.stamped_within(400e-6)
    pulse_late(line, *(200.0 * (number % 3) for number in range(64)))
    assert line.accuracy == pytest.approx(403e-6)


def test_stamps_that_scatter_as_is_usual_are_off_by_no_more_than_the_line_always_is(line: PulseLine):
    pulse_late(line, *(0.2 * (number % 3) for number in range(64)))
    assert line.accuracy == 3e-6


@pytest.mark.parametrize(
    ("name", "driver", "belongs"), [("PPS(1)", "pps", True), ("PPS(0)", "pps", False), ("ATOM(1)", "atomic", False)]
)
def test_a_receivers_word_on_its_pulses_is_for_the_line_of_its_unit(name, driver, belongs):
    assert build_line(name, driver).belongs_to("GPS_UBX(1)") is belongs


def send(line: PulseLine, interval: float, since: float, until: float, predicted_ns: int | None = None) -> None:
    """Let edges come, and the line be reviewed after each."""
    for number in range(round((until - since) / interval)):
        at = round((since + number * interval) * 1e9)
        line.pulse(RawNs(at), MonoNs(at), predicted_ns)
        line.review(MonoNs(at), ClockMapping())


def test_useless_edges_are_waited_for_no_longer_than_silence(line: PulseLine):
    send(line, 0.2, 1.0, 60.0)
    assert line.awaited(MonoNs(9 * 10**9))
    assert not line.awaited(MonoNs(11 * 10**9))
    assert line.reason(MonoNs(60 * 10**9)).startswith("/dev/ttyS0 shows 5 pulses a second, where 1 pulse a second must")


def test_pulses_that_begin_late_are_waited_for(line: PulseLine):
    """A busy machine takes its time to start: the pulses come only when the messages have begun, too."""
    assert not line.awaited(MonoNs(12 * 10**9))
    send(line, 1.0, 12.5, 14.0)
    assert line.awaited(MonoNs(14 * 10**9))


def test_pulses_that_nobody_numbers_are_waited_for_a_minute(line: PulseLine):
    send(line, 1.0, 1.0, 100.0)
    assert line.awaited(MonoNs(60 * 10**9))
    assert not line.awaited(MonoNs(99 * 10**9))


def test_good_pulses_are_waited_for_although_they_are_distrusted(line: PulseLine):
    send(line, 1.0, 1.0, 100.0, predicted_ns=0)
    line.trust.report("test", [Trouble(Doubt.TIME_JUMP, "jumped", severe=True)])
    assert line.awaited(MonoNs(100 * 10**9))


def test_a_line_that_was_useless_is_said_to_be_good_again(line: PulseLine):
    texts = []
    for interval, since, until in ((0.2, 1.0, 40.0), (1.0, 41.0, 60.0)):
        for number in range(round((until - since) / interval)):
            at = round((since + number * interval) * 1e9)
            line.pulse(RawNs(at), MonoNs(at), None)
            texts += [note.text for note in line.review(MonoNs(at), ClockMapping()) if isinstance(note, Note)]
    assert [text[:42] for text in texts] == [
        "PPS pulse detected! Offset: 0.000000000s"[:42],
        "PPS(0) is not used: /dev/ttyS0 shows 5 pul",
        "PPS(0): the pulses of /dev/ttyS0 keep thei",
    ]
