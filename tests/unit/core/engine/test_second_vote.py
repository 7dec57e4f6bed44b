"""Who says that the seconds are counted wrong, who says that they are right, and what follows."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.engine.second_vote import PATIENCE, PROVEN, ROLLOVER, STANDS, Ruling, SecondVote

DOUBTED = Ruling(doubted=True)


class Poll:
    """A vote that hears each receiver once a second."""

    def __init__(self, age: float = 5 * PROVEN) -> None:
        self.vote = SecondVote()
        self.second = 0
        self.age = age

    def run(self, seconds: int, *, others: tuple[float, ...] = (), **ahead: int) -> Ruling:
        for _ in range(seconds):
            self.second += 1
            now = MonoNs(self.second * NS_PER_SECOND)
            for name, each in ahead.items():
                self.vote.hear(name, each, now)
        return self.vote.judge(others, self.age + self.second, MonoNs(self.second * NS_PER_SECOND))


def test_a_receiver_that_agrees_leaves_the_count_as_it_is():
    assert Poll().run(1000, a=0) == STANDS


@pytest.mark.parametrize("ahead", [1, -1, 3, 18])
def test_a_receiver_alone_stops_the_service_after_a_minute_and_wins_when_it_insists(ahead):
    poll = Poll()
    assert poll.run(round(PATIENCE) - 5, a=ahead) == STANDS
    assert poll.run(10, a=ahead) == DOUBTED
    assert poll.run(round(PROVEN) - 100, a=ahead) == DOUBTED
    assert poll.run(60, a=ahead) == Ruling(ahead)


def test_a_count_that_is_young_falls_sooner():
    poll = Poll(age=20)
    assert poll.run(35, a=3) == STANDS
    assert poll.run(10, a=3) == Ruling(3)


def test_a_receiver_and_a_server_are_a_majority_against_the_count():
    poll = Poll()
    assert poll.run(5, a=3, others=(3.01,)) == STANDS
    assert poll.run(10, a=3, others=(3.01,)) == Ruling(3)


def test_a_server_that_confirms_the_count_settles_it():
    assert Poll().run(2000, a=3, others=(-0.02,)) == STANDS


def test_a_server_that_names_a_third_second_is_no_witness():
    assert Poll().run(100, a=3, others=(-7.0,)) == DOUBTED


def test_two_receivers_are_a_majority_against_the_count():
    assert Poll().run(15, a=3, b=3) == Ruling(3)


def test_two_receivers_that_name_two_other_seconds_are_none():
    assert Poll().run(2000, a=3, b=1) == DOUBTED


@pytest.mark.parametrize(("age", "ruling"), [(5 * PROVEN, STANDS), (10.0, DOUBTED)])
def test_between_two_receivers_a_proven_count_decides(age, ruling):
    assert Poll(age).run(100, a=0, b=3) == ruling


def test_a_count_that_was_disputed_from_the_start_is_never_proven():
    poll = Poll(age=0)
    assert poll.run(100, a=0, b=3) == DOUBTED
    assert poll.run(2 * round(PROVEN), a=0, b=3) == DOUBTED


def test_a_receiver_that_was_confused_for_a_moment_is_forgiven():
    poll = Poll()
    for _ in range(50):
        assert poll.run(3, a=1) == STANDS
        assert poll.run(37, a=0) == STANDS


def test_a_receiver_that_flaps_is_doubted_until_it_has_agreed_for_a_minute():
    poll = Poll()
    for _ in range(10):
        poll.run(30, a=1)
        poll.run(30, a=0)
    assert poll.run(1, a=0) == DOUBTED
    assert poll.run(70, a=0) == STANDS


def test_one_that_is_silent_says_nothing_any_more():
    poll = Poll()
    assert poll.run(100, a=3) == DOUBTED
    assert poll.run(100) == STANDS


def test_a_week_number_that_starts_again_is_a_fault_and_no_correction():
    assert Poll().run(2000, a=-ROLLOVER) == STANDS


def test_a_clock_that_stands_still_names_no_second():
    poll = Poll()
    for second in range(1000):
        ruling = poll.run(1, a=-second)
    assert ruling == STANDS
