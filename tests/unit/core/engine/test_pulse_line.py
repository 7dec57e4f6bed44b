"""What a line of pulses promises of itself."""

import pytest

from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.base.instants import MonoNs, RawNs, WallNs
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
    line.numbering.message("GPS(0)", WallNs(0), RawNs(100_000_000), latency=0.0, trusted=True)
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
