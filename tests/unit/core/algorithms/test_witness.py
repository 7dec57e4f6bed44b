"""The oscillator's testimony: what no crystal does is the source's own."""

import random

import pytest

from ntp_usg.core.algorithms.witness import STRAYS, Departure, Witness
from ntp_usg.core.base.doubts import Doubt
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.samples import Sample

START = 1_790_000_000 * 10**9


class Source:
    """Samples of a crystal that is 12 ppm off, once a second."""

    def __init__(self, jitter: float = 100e-9, accuracy: float = 1e-6) -> None:
        self.witness = Witness(1e-6, accuracy)
        self.random = random.Random(1)
        self.jitter = jitter
        self.second = 0
        self.offset = 0.0
        self.rate = 12e-6

    def run(self, count: int, *, jump: float = 0.0, acceleration: float = 0.0) -> list[Departure]:
        self.offset += jump
        seen = []
        for _ in range(count):
            self.second += 1
            self.rate += acceleration
            self.offset += self.rate
            measured = round((self.offset + self.random.gauss(0, self.jitter)) * 1e9)
            departure = self.witness.see(Sample(RawNs(START + self.second * 10**9), 10**17 + measured, 1e-6))
            seen += [departure] if departure else []
        return seen


@pytest.mark.parametrize("jitter", [10e-9, 1e-6, 30e-6, 2e-3])
def test_a_steady_source_is_never_accused(jitter):
    assert Source(jitter).run(5000) == []


def test_a_jump_is_seen_after_four_samples_with_its_size():
    source = Source()
    source.run(300)
    (departure,) = source.run(STRAYS, jump=50e-6)
    assert departure.doubt is Doubt.TIME_JUMP
    assert departure.size == pytest.approx(50e-6, abs=2e-6)
    assert departure.since == START + 301 * 10**9
    assert f"{departure}" == "jumped by +5e-05 s"


def test_a_ramp_of_a_microsecond_a_second_is_seen_within_15_s_and_told_apart_from_a_jump():
    source = Source()
    source.run(300)
    source.rate += 1e-6
    (departure,) = source.run(15)
    assert departure.doubt is Doubt.FREQUENCY_JUMP
    assert 0.2e-6 < departure.size < 1.5e-6
    assert departure.since <= START + 300 * 10**9


def test_a_crystal_that_warms_up_is_not_accused():
    """1 ppm in two minutes."""
    source = Source()
    source.run(300)
    assert source.run(120, acceleration=8e-9) == []


def test_single_wild_samples_are_no_departure_and_teach_nothing():
    source = Source()
    source.run(300)
    for _ in range(50):
        wild = Sample(RawNs(START + source.second * 10**9 + 1), 10**17 + 400_000_000, 1e-6)
        assert source.witness.see(wild, usual=False) is None
        assert source.run(1) == []
    assert len(source.run(STRAYS, jump=50e-6)) == 1


def test_a_jump_within_the_sources_accuracy_is_not_held_against_it():
    source = Source(accuracy=0.2)
    source.run(300)
    assert source.run(20, jump=0.1) == []


def test_what_is_not_explained_yet_is_told_at_once():
    source = Source()
    source.run(300)
    assert source.witness.stray == 0
    source.run(1, jump=20e-6)
    assert source.witness.stray == pytest.approx(20e-6, abs=2e-6)


def test_a_long_silence_leaves_room_for_what_the_oscillator_may_have_done():
    source = Source()
    source.run(300)
    source.second += 3600
    source.offset += 3600 * source.rate
    assert source.run(20, jump=1e-3) == []


@pytest.mark.parametrize("jitter", [1e-6, 1e-3])
def test_after_a_long_silence_a_noisy_line_may_be_off_as_far_as_its_noise_leads(jitter):
    for _ in range(20):
        source = Source(jitter)
        source.run(48)
        source.second += 300
        source.offset += 300 * source.rate
        assert source.run(40) == []


def test_a_leap_second_is_no_jump():
    source = Source()
    source.run(300)
    source.witness.shift(-(10**9))
    assert source.run(20, jump=-1.0) == []
