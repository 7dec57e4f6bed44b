"""The soak's judge finds what does not hold: a judge that can't condemn proves nothing."""

import pytest
from tests.soak.judge import Judge, Request, Usage, growth

from ntp_usg.core.base.instants import HostNs
from ntp_usg.simulate.truth import Truth


def request(at: float, *, answered: bool = True, synchronised: bool = True, error: float = 0.0) -> Request:
    return Request(at, HostNs(0), answered=answered, synchronised=synchronised, error=error, bound=1e-3)


@pytest.fixture
def judge() -> Judge:
    return Judge(("127.0.0.1", 9), Truth(0))


@pytest.mark.parametrize(("error", "outside"), [(0.9e-3, False), (1.1e-3, True), (-1.1e-3, True)])
def test_an_answer_is_outside_when_its_error_exceeds_its_bound(error: float, outside: bool):
    assert request(0.0, error=error).outside is outside


def test_an_unsynchronised_answer_promises_nothing():
    assert not request(0.0, synchronised=False, error=9.0).outside


def test_the_longest_gap_is_from_the_last_answered_request_to_the_last_unanswered_one(judge: Judge):
    judge.requests = [request(0.0), *(request(at / 10, answered=False) for at in range(1, 8)), request(0.8)]
    gap, began_at = judge.longest_gap(lambda _: False)
    assert gap == pytest.approx(0.7)
    assert began_at == 0.0


def test_while_the_daemon_is_away_nothing_is_missing(judge: Judge):
    judge.requests = [request(0.0), *(request(at / 10, answered=False) for at in range(1, 8)), request(0.8)]
    assert judge.longest_gap(lambda at: at < 0.6)[0] == pytest.approx(0.2)


def test_an_unsynchronised_answer_must_be_said_at_that_time(judge: Judge):
    judge.requests = [request(at, synchronised=False) for at in (10.0, 20.0, 30.0)] + [request(31.0)]
    assert [each.sent_at for each in judge.unsaid([11.0, 29.0])] == [20.0]


def test_growth_is_from_the_second_quarter_to_the_last():
    found = [Usage(1_000, 5)] * 4 + [Usage(2_000, 10)] * 4 + [Usage(5_000, 11)] * 4 + [Usage(2_500, 14)] * 4
    assert growth(found) == Usage(500, 4)
    assert growth(found[:3]) == Usage(0, 0)
