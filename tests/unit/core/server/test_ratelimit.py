import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.server.clients import Client
from ntp_usg.core.server.ratelimit import RateLimit, may_kiss


def admitted(limit: RateLimit, client: Client, *, at: float, requests: int) -> int:
    return sum(limit.admits(client, MonoNs(int(at * NS_PER_SECOND))) for _ in range(requests))


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
    client = Client()
    kisses = [at for at in range(0, 3 * NS_PER_SECOND + 1, NS_PER_SECOND // 10) if may_kiss(client, MonoNs(at))]
    assert kisses == [0, NS_PER_SECOND, 2 * NS_PER_SECOND, 3 * NS_PER_SECOND]
