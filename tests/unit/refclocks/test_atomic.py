"""A frequency standard: pulses as any others, but none whose offset anybody could guess."""

import math
from random import Random

import pytest
from pydantic import ValidationError

from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.algorithms.selection import Choice
from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, RawNs, nanoseconds
from ntp_usg.core.base.mapping import IDENTITY
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.base.snapshots import Tally
from ntp_usg.core.engine.pulse_line import PULSE_NOISE, PulseLine
from ntp_usg.refclocks.atomic import AtomicDriver, AtomicOptions
from ntp_usg.refclocks.driver import load_drivers
from ntp_usg.refclocks.pps import PpsDriver


def test_its_table_is_atomic_and_its_source_a_pulse_line():
    assert load_drivers()["atomic"] is AtomicDriver
    assert issubclass(AtomicDriver, PpsDriver)
    source = AtomicOptions(device="/dev/pps1", offset_secs=12e-6).source()
    assert (source.name, source.driver, source.reference_id) == ("ATOM(0)", "atomic", b"ATOM")
    assert (source.offset, source.accuracy) == (12e-6, 1e-4)


def test_its_offset_must_be_said():
    with pytest.raises(ValidationError, match="offset_secs"):
        AtomicOptions.model_validate({"device": "/dev/pps1"})


@pytest.mark.parametrize(("offset_secs", "shown"), [(0.0, -0.003), (0.003, 0.0)])
def test_the_offset_that_the_status_shows_is_the_one_to_write_with_the_other_sign(offset_secs, shown):
    settings = AtomicOptions(device="/dev/pps1", offset_secs=offset_secs).source()
    line = PulseLine(settings, KalmanEstimator(PULSE_NOISE), MonoNs(0))
    for second in range(10):
        line.pulse(RawNs(second * NS_PER_SECOND + 3_000_000), MonoNs(second * NS_PER_SECOND), 0)
    assert line.snapshot(MonoNs(9 * NS_PER_SECOND), IDENTITY, Choice(Tally.REJECTED, "")).offset == shown


def error_after_an_hour(wander: float) -> float:
    """Of the estimate, in seconds, where pulses jitter by 1 us and the host's frequency takes such a random walk."""
    random, estimator = Random(7), KalmanEstimator(PULSE_NOISE)
    offset, rate, squares = 0.0, 1e-6, []
    for second in range(3600):
        at = RawNs(second * NS_PER_SECOND)
        offset, rate = offset + rate, rate + random.gauss(0, wander)
        estimator.add(Sample(at, nanoseconds(offset + random.gauss(0, 1e-6)), 1e-6))
        estimate = estimator.estimate(at)
        if second >= 3000 and estimate is not None:
            squares.append((estimate.offset_ns * 1e-9 - offset) ** 2)
    return math.sqrt(sum(squares) / len(squares))


def test_pulses_are_averaged_for_as_long_as_the_hosts_own_oscillator_is_steady():
    """No time constant is set anywhere: it follows from what the estimator learns of the host."""
    on_a_draughty_board, on_an_ovenized_one = error_after_an_hour(1e-7), error_after_an_hour(1e-11)
    assert on_an_ovenized_one < 0.1e-6 < 0.4e-6 < on_a_draughty_board < 1e-6
