"""Hunting for edges: whatever line and machine do, edges are caught, brackets are true, and looking is cheap."""

import random
from dataclasses import dataclass, field
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.base.instants import NS_PER_SECOND, MonoNs, nanoseconds, seconds
from ntp_usg.core.receivers.edge_hunt import Bracket, EdgeHunt, Watch

MOST_LOOKING = 10e-3
"""Seconds of looking without a pause that one watch may ask for."""


@dataclass
class Line:
    """Pulses of `width` seconds, on a machine that is late to wake and takes its time for a look."""

    rate: float
    phase: float
    width: float
    jitter: float
    look_ns: int
    lateness: float
    seed: int
    moved_at: float = float("inf")
    missing: float = 0.0
    edges: dict[int, MonoNs | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def edge(self, number: int) -> MonoNs | None:
        if number not in self.edges:
            at = number * (1 + self.rate) + self.phase + self.random.uniform(-self.jitter, self.jitter)
            at += 0.35 if at > self.moved_at else 0
            self.edges[number] = None if self.random.random() < self.missing else MonoNs(nanoseconds(at))
        return self.edges[number]

    def active(self, at: int) -> bool:
        number = int(seconds(at))
        edges = [self.edge(each) for each in range(max(0, number - 2), number + 3)]
        return any(edge is not None and edge <= at < edge + nanoseconds(self.width) for edge in edges)

    def look(self, watch: Watch) -> tuple[Bracket | None, MonoNs]:
        """What sysapi.modem_lines does with a real line; and the time afterwards."""
        began = watch.begin + nanoseconds(self.random.uniform(0, self.lateness))
        before: int | None = None
        while began < watch.end:
            active = self.active(began + self.look_ns // 2)
            ended = began + self.look_ns
            if active and before is not None:
                return Bracket(MonoNs(before), MonoNs(ended)), MonoNs(ended)
            if active and not watch.pause:
                return None, MonoNs(ended)
            before = None if active else began
            began = ended + nanoseconds(watch.pause)
        return None, MonoNs(began)


lines = st.builds(
    Line,
    rate=st.floats(-550e-6, 550e-6),
    phase=st.floats(0, 1),
    width=st.floats(5e-3, 0.5),
    jitter=st.floats(0, 50e-6),
    look_ns=st.integers(4_000, 60_000),
    lateness=st.floats(0, 0.2e-3),
    seed=st.integers(0, 2**32),
)


def hunt(line: Line, *, until: float) -> list[tuple[Bracket, bool]]:
    """Every edge that was found, and whether it may tell the time."""
    machine, now, found = EdgeHunt(), MonoNs(0), []
    while seconds(now) < until:
        watch = machine.watch(now)
        assert watch.begin >= now
        assert watch.pause or seconds(watch.end - watch.begin) < MOST_LOOKING
        bracket, after = line.look(watch)
        assert after > now
        now = after
        if bracket is not None:
            found.append((bracket, machine.found(bracket)))
    return found


def contains_an_edge(line: Line, bracket: Bracket) -> bool:
    number = int(seconds(bracket.latest))
    edges = [line.edge(each) for each in range(max(0, number - 2), number + 2)]
    return any(edge is not None and bracket.earliest <= edge <= bracket.latest for edge in edges)


@given(lines)
def test_once_found_every_edge_is_caught_closely_and_truly(line):
    found = hunt(line, until=8)
    assert all(contains_an_edge(line, bracket) for bracket, _ in found)
    assert sum(good for _, good in found) >= 4
    for (earlier, _), (later, good) in pairwise(found):
        assert good
        assert abs(seconds(later.centre - earlier.centre) - 1) < 2e-3
        assert later.latest - later.earliest <= 3 * line.look_ns


@given(lines, st.floats(3, 5))
def test_pulses_that_move_are_found_again(line, moved_at):
    line.moved_at = moved_at
    found = hunt(line, until=16)
    assert all(contains_an_edge(line, bracket) for bracket, _ in found)
    assert any(good and seconds(bracket.centre) > 12 for bracket, good in found)


@given(lines)
def test_missing_pulses_cost_no_more_than_themselves(line):
    line.missing = 0.3
    found = hunt(line, until=20)
    assert all(contains_an_edge(line, bracket) for bracket, _ in found)
    for (earlier, _), (later, good) in pairwise(found):
        gap = round(seconds(later.centre - earlier.centre))
        assert good or gap > EdgeHunt.PATIENCE
        assert good <= (gap <= EdgeHunt.PATIENCE)


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * NS_PER_SECOND), st.integers(0, NS_PER_SECOND), st.booleans()),
        max_size=30,
    )
)
def test_no_story_of_edges_makes_a_watch_long_or_past(story):
    machine, now = EdgeHunt(), MonoNs(0)
    for wait, width, seen in story:
        watch = machine.watch(now)
        assert now <= watch.begin < watch.end
        assert watch.begin - now <= NS_PER_SECOND
        now = MonoNs(watch.end + wait)
        if seen:
            machine.found(Bracket(MonoNs(now - width), now))
