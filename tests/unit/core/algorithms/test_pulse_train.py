"""Which edges continue a pulse train of the expected rate, and what is said of a line that has no such train."""

from random import Random

import pytest

from ntp_usg.core.algorithms.pulse_train import MOST_EDGES, PulseTrain
from ntp_usg.core.base.instants import RawNs
from ntp_usg.core.base.verdicts import Reason

START = 1_700_000_000 * 10**9


def judge(train: PulseTrain, *edges: float) -> list[Reason | None]:
    """Edges at so many seconds after the start, in order."""
    return [train.add(RawNs(START + round(at * 1e9))) for at in sorted(edges)]


def every(interval: float, until: float, since: float = 0.0) -> list[float]:
    return [since + number * interval for number in range(round((until - since) / interval))]


def test_the_fourth_pulse_makes_a_train():
    assert judge(PulseTrain(1.0), *every(1.0, 6)) == [Reason.IRREGULAR] * 3 + [None] * 3


@pytest.mark.parametrize("rate", [2, 5, 10, 100])
def test_another_rate_is_a_train_where_it_is_expected(rate):
    assert judge(PulseTrain(1 / rate), *every(1 / rate, 1.0 + 10 / rate))[8:] == [None] * (rate + 2)


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (0.5, "2 pulses a second"),
        (0.2, "5 pulses a second"),
        (0.1, "10 pulses a second"),
        (1 / 60, "60 pulses a second"),
        (1.0396, "pulses 1.04 s apart"),
        (1.003, "pulses 1.003 s apart"),
        (0.96, "pulses 0.96 s apart"),
        (1.5, "pulses 1.5 s apart"),
        (2.0, "pulses 2 s apart"),
    ],
)
def test_another_interval_is_no_train_and_is_told(interval, words):
    train = PulseTrain(1.0)
    assert None not in judge(train, *every(interval, 60))[8:]
    assert train.describe() == words


def test_one_pulse_a_second_is_no_train_where_ten_are_expected():
    train = PulseTrain(0.1)
    assert None not in judge(train, *every(1.0, 60))
    assert train.describe() == "1 pulse a second"


@pytest.mark.parametrize("rate", [0.5, 1, 2, 3, 4, 5, 6, 20])
def test_random_edges_are_no_train(rate):
    """By chance an edge passes once in 65 million."""
    random, train, at = Random(rate), PulseTrain(1.0), 0.0
    for _ in range(1_500):
        at += random.expovariate(rate)
        assert train.add(RawNs(START + round(at * 1e9))) is not None
    assert train.describe().endswith("edges a second at irregular times")


@pytest.mark.parametrize("rate", [1, 3, 6])
def test_pulses_are_found_among_random_edges(rate):
    random = Random(rate)
    noise = [random.uniform(0, 100) for _ in range(100 * rate)]
    train, pulses = PulseTrain(1.0), set(every(1.0, 100))
    taken = [at for at in sorted({*noise, *pulses}) if not judge(train, at)[0]]
    assert len(pulses & set(taken)) > 80
    assert max(abs(at - round(at)) for at in taken) < 0.01, "some noise comes just when a pulse is due"


@pytest.mark.parametrize("width", [0.05, 0.1, 0.2, 0.45])
def test_where_both_ends_of_a_pulse_come_the_shorter_part_begins_with_it(width):
    train = PulseTrain(1.0)
    ends = every(1.0, 20, since=width)
    taken = [at for at in sorted([*every(1.0, 20), *ends]) if not judge(train, at)[0]]
    assert taken == every(1.0, 20, since=4)


def test_two_edges_half_a_second_apart_are_ambiguous():
    assert None not in judge(PulseTrain(1.0), *every(0.51, 1.0), *every(1.0, 20, since=2), *every(1.0, 20, since=2.51))


def test_pulses_may_be_missing_and_come_back():
    random, train = Random(1), PulseTrain(1.0)
    coming = [at for at in every(1.0, 200) if random.random() > 0.3 and not 100 < at < 105]
    assert judge(train, *coming)[20:].count(None) > len(coming) - 30


def test_pulses_that_scatter_by_milliseconds_are_a_train():
    random, train = Random(1), PulseTrain(1.0)
    assert judge(train, *(at + random.gauss(0, 2e-3) for at in every(1.0, 300)))[16:].count(None) > 280


@pytest.mark.parametrize("frequency", [-500e-6, 500e-6])
def test_a_host_clock_that_is_off_by_500_ppm_sees_a_train(frequency):
    assert judge(PulseTrain(1.0), *every(1 + frequency, 60))[10:].count(None) >= 49


@pytest.mark.parametrize("frequency", [-0.01, -0.001, 0.001, 0.002, 0.01])
def test_pulses_that_run_off_faster_than_any_host_clock_are_no_train(frequency):
    assert None not in judge(PulseTrain(1.0), *every(1 + frequency, 100))[16:]


def test_a_line_with_thousands_of_edges_costs_bounded_work():
    train = PulseTrain(1.0)
    assert None not in judge(train, *every(1e-4, 2.0))
    assert len(train._edges) <= MOST_EDGES * 16


def test_a_broken_timeline_begins_a_new_train():
    train = PulseTrain(1.0)
    judge(train, *every(1.0, 20))
    train.clear()
    assert judge(train, 100.0) == [Reason.IRREGULAR]
    assert train.describe() == "too few edges to see a rate"
