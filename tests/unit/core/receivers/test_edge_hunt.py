"""When a line is looked at. That no edge gets away is in tests/property."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs
from ntp_usg.core.receivers.edge_hunt import Bracket, EdgeHunt, Watch

SECOND, MS, US = NS_PER_SECOND, 1_000_000, 1_000


def bracket(at: int, half_width: int) -> Bracket:
    return Bracket(MonoNs(at - half_width), MonoNs(at + half_width))


@pytest.fixture
def tracking() -> EdgeHunt:
    """An edge was searched and found at 0 s, to 500 us, and caught at 1 s, to 2 us."""
    hunt = EdgeHunt()
    assert not hunt.found(bracket(0, 500 * US))
    assert hunt.found(bracket(SECOND, 2 * US))
    return hunt


def test_the_first_edge_is_searched_at_leisure_from_now_on():
    assert EdgeHunt().watch(MonoNs(7)) == Watch(MonoNs(7), MonoNs(7 + 1500 * MS), 1e-3)


def test_a_searched_edge_tells_when_to_look_but_not_the_time():
    hunt = EdgeHunt()
    assert not hunt.found(bracket(0, 500 * US))
    assert hunt.watch(MonoNs(1)) == Watch(MonoNs(SECOND - 1400 * US), MonoNs(SECOND + 1400 * US), 0)
    assert hunt.half_width is None


def test_a_caught_edge_narrows_the_window(tracking: EdgeHunt):
    assert tracking.watch(MonoNs(SECOND + 1)) == Watch(MonoNs(2 * SECOND - 902 * US), MonoNs(2 * SECOND + 902 * US), 0)
    assert tracking.half_width == 2e-6


def test_after_a_miss_the_window_is_wider(tracking: EdgeHunt):
    watch = tracking.watch(tracking.watch(MonoNs(SECOND + 1)).end)
    assert (watch.begin, watch.end) == (3 * SECOND - 1502 * US, 3 * SECOND + 1502 * US)


def test_after_many_misses_the_search_begins_again(tracking: EdgeHunt):
    assert tracking.watch(MonoNs(5 * SECOND)).pause


def test_an_edge_of_which_little_is_known_foretells_nothing():
    hunt = EdgeHunt()
    assert not hunt.found(bracket(0, 6 * MS))
    assert hunt.watch(MonoNs(7 * MS)).pause


def test_an_edge_during_which_we_were_held_up_is_not_used_but_followed(tracking: EdgeHunt):
    assert not tracking.found(bracket(2 * SECOND, 200 * US))
    assert tracking.watch(MonoNs(2 * SECOND + MS)).begin == 3 * SECOND - 1100 * US
    assert tracking.found(bracket(3 * SECOND, 2 * US))


def test_a_machine_that_has_become_slow_is_believed_again(tracking: EdgeHunt):
    assert [tracking.found(bracket(number * SECOND, 50 * US)) for number in range(2, 8)][-1]
