import numpy as np
import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.server.ratelimit import KISS_INTERVAL_NS, RateLimit, leaks, leaks_many, may_kiss


class Client:
    """One client's bucket."""

    def __init__(self) -> None:
        self.due = 0


def admitted(limit: RateLimit, client: Client, *, at: float, requests: int) -> int:
    count = 0
    for _ in range(requests):
        due = limit.admit(client.due, MonoNs(int(at * NS_PER_SECOND)))
        if due is not None:
            client.due, count = due, count + 1
    return count


@pytest.mark.parametrize("at", [0.0, 1e-9, 1e9])
@pytest.mark.parametrize("rate", [0.001, 1.0, 1e9, 1e12])
def test_a_new_clients_first_request_always_passes(at: float, rate: float) -> None:
    assert admitted(RateLimit(rate, 1), Client(), at=at, requests=1) == 1


def test_a_burst_passes_and_then_the_rate() -> None:
    limit, client = RateLimit(100.0, 200), Client()
    assert admitted(limit, client, at=10.0, requests=1000) == 200
    assert admitted(limit, client, at=10.5, requests=1000) == 50
    assert admitted(limit, client, at=10.505, requests=1000) == 0
    assert admitted(limit, client, at=10.51, requests=1000) == 1


def test_a_pause_saves_no_more_than_one_burst() -> None:
    limit, client = RateLimit(100.0, 200), Client()
    admitted(limit, client, at=10.0, requests=1000)
    assert admitted(limit, client, at=100_000_000.0, requests=1000) == 200


def test_a_flood_does_not_postpone_the_next_answer() -> None:
    limit, client = RateLimit(1.0, 1), Client()
    admitted(limit, client, at=10.0, requests=100_000)
    assert admitted(limit, client, at=11.0, requests=1) == 1


@pytest.mark.parametrize(("rate", "burst"), [(0.0, 1), (-1.0, 1), (float("nan"), 1), (1.0, 0)])
def test_a_limit_that_admits_nobody_is_refused(rate: float, burst: int) -> None:
    with pytest.raises(ValueError, match="would admit nobody"):
        RateLimit(rate, burst)


def test_one_kiss_a_second_and_silence_between() -> None:
    kisses, next_kiss = [], 0
    for at in range(0, 3 * NS_PER_SECOND + 1, NS_PER_SECOND // 10):
        if may_kiss(next_kiss, MonoNs(at)):
            kisses.append(at)
            next_kiss = at + KISS_INTERVAL_NS
    assert kisses == [0, NS_PER_SECOND, 2 * NS_PER_SECOND, 3 * NS_PER_SECOND]


@pytest.mark.parametrize(("rate", "burst"), [(100.0, 5), (1e12, 1), (1e-12, 1_000_000), (3.0, 1_000_000)])
def test_many_at_once_are_admitted_as_they_would_be_one_after_the_other(rate: float, burst: int) -> None:
    limit, now = RateLimit(rate, burst), MonoNs(10**18)
    buckets = {0: now - 5, 1: now + 20_000_000, 2: 0}
    asking = [0, 1, 0, 0, 2, 1, *[0] * 10, *[2] * 4]
    one_by_one, due = [], dict(buckets)
    for client in asking:
        after = limit.admit(due[client], now)
        one_by_one.append(after is not None)
        due[client] = due[client] if after is None else after
    earlier = np.array([asking[:row].count(client) for row, client in enumerate(asking)])
    admitted_, after_ = limit.admit_many(np.array([buckets[client] for client in asking]), now, earlier)
    assert admitted_.tolist() == one_by_one
    for client, end in due.items():
        rows = [row for row in range(len(asking)) if asking[row] == client and admitted_[row]]
        assert not rows or after_[rows[-1]] == end


@pytest.mark.fault(
    group="Attacks",
    kind="Somebody sends thousands of requests a second in the name of one client.",
    noticed="ntp_usg_queries_total counts dropped/rate_limited, and `ntp_usg clients` shows who it is.",
    served="One refused request in four is answered, so the true client gets time after a few tries.",
)
@pytest.mark.parametrize("key", [0, 1, 2**64 - 1, 0x0123_4567_89AB_CDEF])
def test_a_quarter_of_the_refused_leaks_however_many_spoofed_ones_come_between(key: int) -> None:
    for step in (1, 2, 3, 4, 1000, 320_000):
        numbers = range(step, 4000 * step, step)
        assert 0.22 < sum(leaks(number, key) for number in numbers) / len(numbers) < 0.28
        assert leaks_many(np.array(numbers), key).tolist() == [leaks(number, key) for number in numbers]


def test_who_does_not_know_the_key_does_not_know_what_leaks() -> None:
    assert len({tuple(leaks(number, key) for number in range(1, 40)) for key in range(1000)}) == 1000
