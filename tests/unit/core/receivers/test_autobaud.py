"""Speeds are tried in turn, and the one that makes sense is kept while it does."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.receivers.autobaud import USUAL_RATES, SpeedSearch, usual_rates


def at(seconds: float) -> MonoNs:
    return MonoNs(round(seconds * NS_PER_SECOND))


def search(*rates: int) -> SpeedSearch:
    return SpeedSearch(rates, patience=2.5, timeout=5.0)


@pytest.mark.parametrize("right", USUAL_RATES)
def test_every_usual_speed_is_found(right):
    trial, now = SpeedSearch(usual_rates(), patience=2.5, timeout=5.0), at(0)
    while (rate := trial.next_rate(now)) != right:
        assert rate is not None
        trial.hear(now)
        now = trial.deadline
    trial.understand(now)
    assert trial.found == right
    assert now < at(25)


def test_what_made_sense_before_is_tried_first_and_nothing_twice():
    assert usual_rates(4800)[:2] == (4800, 9600)
    assert sorted(usual_rates(4800)) == sorted(USUAL_RATES)
    assert usual_rates(12_345) == (12_345, *USUAL_RATES)


def test_a_silent_line_is_given_up_at_each_speed_after_the_patience():
    trial = search(9600, 4800)
    assert trial.next_rate(at(0)) == 9600
    assert trial.deadline == at(2.5)
    assert trial.next_rate(at(2.5)) == 4800
    assert trial.deadline == at(5)
    assert trial.next_rate(at(5)) is None
    assert not trial.noise


def test_the_patience_with_noise_begins_with_its_first_byte():
    trial = search(9600)
    trial.next_rate(at(0))
    trial.hear(at(2))
    trial.hear(at(3))
    assert trial.deadline == at(4.5)
    assert trial.noise


def test_sense_is_waited_for_as_long_as_the_timeout_each_time():
    trial = search(9600, 4800)
    trial.next_rate(at(0))
    trial.hear(at(1))
    trial.understand(at(1))
    assert trial.deadline == at(6)
    trial.hear(at(2))
    assert trial.deadline == at(6)
    trial.understand(at(2))
    assert trial.deadline == at(7)


def test_a_speed_that_was_found_is_not_left_for_another():
    trial = search(9600, 4800)
    trial.next_rate(at(0))
    trial.understand(at(1))
    assert trial.next_rate(at(6)) is None
    assert trial.found == 9600


def test_silence_after_sense_is_told_from_noise_after_sense():
    trial = search(9600)
    trial.next_rate(at(0))
    trial.hear(at(1))
    trial.understand(at(1))
    assert not trial.noise
    trial.hear(at(2))
    assert trial.noise
