"""How often a server that surprises is asked again at once."""

from ntp_usg.core.algorithms.alert import Alert
from ntp_usg.core.base.instants import MonoNs, nanoseconds


def at(elapsed: float) -> MonoNs:
    return MonoNs(nanoseconds(elapsed))


def test_a_surprise_calls_at_once_and_an_estimate_that_ages_only_soon_after_one():
    alert = Alert(at(0))
    assert not alert.calls(at(64), surprised=False, ageing=True)
    assert alert.calls(at(128), surprised=True, ageing=False)
    assert alert.calls(at(136), surprised=False, ageing=True)
    assert not alert.calls(at(200), surprised=False, ageing=False)
    assert not alert.calls(at(128 + Alert.LASTS), surprised=False, ageing=True)


def test_surprise_after_surprise_is_no_news():
    alert = Alert(at(0))
    assert [alert.calls(at(64 * n), surprised=True, ageing=False) for n in range(5)] == [True] + [False] * 4


def test_a_server_that_never_agrees_with_itself_is_left_in_peace_after_a_while():
    alert = Alert(at(0))
    polls = 20_000 // 64
    calls = sum(alert.calls(at(64 * n), surprised=n % 2 == 0, ageing=False) for n in range(polls))
    assert calls <= Alert.STORE + 20_000 / Alert.REFILL


def test_bearing_witness_costs_a_share_of_a_burst():
    alert = Alert(at(0))
    assert sum(alert.spend(at(1), 0.25) for _ in range(100)) == 4 * Alert.STORE
