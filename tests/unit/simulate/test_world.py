"""Virtual time goes from event to event."""

from ntp_usg.core.base.instants import WallNs
from ntp_usg.simulate.world import World


def test_events_happen_in_the_order_of_their_time_and_then_of_their_planning(world: World):
    seen: list[str] = []
    world.after(2.0, lambda: seen.append("late"))
    world.after(1.0, lambda: seen.append("early"))
    world.after(1.0, lambda: seen.append("second"))
    world.run(WallNs(world.start + 3 * 10**9))
    assert seen == ["early", "second", "late"]
    assert world.now == world.start + 3 * 10**9


def test_what_lies_beyond_the_end_waits(world: World):
    seen: list[int] = []
    world.after(2.0, lambda: seen.append(world.now))
    world.run(WallNs(world.start + 10**9))
    assert not seen
    world.run(WallNs(world.start + 2 * 10**9))
    assert seen == [world.start + 2 * 10**9]


def test_an_event_planned_for_the_past_happens_next(world: World):
    seen: list[int] = []
    world.after(1.0, lambda: world.at(world.start, lambda: seen.append(world.now)))
    world.run(WallNs(world.start + 2 * 10**9))
    assert seen == [world.start + 10**9]
