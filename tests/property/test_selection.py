"""Selection cannot be fooled by a minority, whatever it says, nor by the order in which sources are listed."""

import time
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.algorithms.intersection import Interval, find_agreement
from ntp_usg.core.algorithms.selection import Candidate, Selection, SelectionSettings, select
from ntp_usg.core.base.snapshots import Tally

LIMIT = 1.0
"""No honest source here is less certain than this, in seconds."""
ROUNDING = 1e-9

distances = st.floats(1e-6, LIMIT)
offsets = st.floats(-10 * LIMIT, 10 * LIMIT)
flags = st.booleans()


def candidates(name: str, offset: float, distance: float) -> st.SearchStrategy[Candidate]:
    noise = st.floats(0, distance)
    return st.builds(
        Candidate,
        name=st.just(name),
        offset=st.just(offset),
        distance=st.just(distance),
        deviation=noise,
        jitter=noise,
        stratum=st.integers(0, 15),
    )


@st.composite
def honest(draw: st.DrawFn, name: str, truth: float) -> Candidate:
    distance = draw(distances)
    return draw(candidates(name, truth + distance * draw(st.floats(-1, 1)), distance))


@st.composite
def crowds(draw: st.DrawFn, liar_offsets: st.SearchStrategy[float]) -> tuple[float, list[Candidate], set[str]]:
    """The truth, honest sources and fewer liars in any order, and the liars' names."""
    truth = draw(st.floats(-LIMIT, LIMIT))
    honest_count = draw(st.integers(1, 8))
    liars = [f"liar{number}" for number in range(draw(st.integers(0, honest_count - 1)))]
    crowd = [draw(honest(f"s{number}", truth)) for number in range(honest_count)]
    crowd += [draw(candidates(name, truth + draw(liar_offsets), draw(distances))) for name in liars]
    return truth, draw(st.permutations(crowd)), set(liars)


@st.composite
def any_sources(draw: st.DrawFn) -> list[Candidate]:
    crowd = [
        draw(candidates(f"s{number}", draw(offsets), draw(distances))) for number in range(draw(st.integers(0, 8)))
    ]
    options = dict.fromkeys(("reachable", "prefer", "trust", "require", "noselect", "pulse", "numbered"), flags)
    return [with_options(each, draw(st.fixed_dictionaries(options))) for each in crowd]


def with_options(candidate: Candidate, options: dict[str, Any]) -> Candidate:
    return replace(candidate, **options)


far = st.sampled_from([-1, 1]).flatmap(lambda sign: st.floats(3.001 * LIMIT, 9 * LIMIT).map(lambda size: sign * size))
previous_peers = st.sampled_from([None, "s0", "s1", "liar0", "gone"])
SETTINGS = SelectionSettings()


@given(crowds(far), previous_peers)
def test_a_minority_of_falsetickers_is_never_followed(crowd, previous):
    truth, sources, liars = crowd
    selection = select(sources, previous, SETTINGS)
    assert selection.system_peer is not None
    assert not liars & set(selection.weights)
    assert all(selection.choices[name].tally is Tally.FALSETICKER for name in liars)
    assert abs(selection.offset - truth) <= selection.distance + ROUNDING


@given(crowds(st.floats(-3 * LIMIT, 3 * LIMIT)), previous_peers)
def test_the_majoritys_interval_holds_the_truth_however_cunning_the_liars(crowd, previous):
    truth, sources, _ = crowd
    majority = select(sources, previous, SETTINGS).majority
    assert majority is not None
    assert majority.low - ROUNDING <= truth <= majority.high + ROUNDING


@given(st.integers(1, 8), st.floats(-0.4, 0.4))
def test_a_pulse_line_leads_only_if_no_majority_contradicts_it(opponents, offset):
    line = Candidate(name="PPS", offset=offset, distance=1e-6, deviation=0, jitter=0, pulse=True, numbered=True)
    numbering = Candidate(name="receiver", offset=offset, distance=1e-3, deviation=0, jitter=0)
    others = [replace(numbering, name=f"s{number}", offset=2.0) for number in range(opponents)]
    selection = select([line, numbering, *others], None, SETTINGS)
    leader = {1: "PPS", 2: None}.get(opponents, "s0")
    assert selection.system_peer == leader


@given(any_sources(), st.randoms(use_true_random=False), previous_peers)
def test_the_order_of_the_sources_does_not_matter(sources, random, previous):
    shuffled = list(sources)
    random.shuffle(shuffled)
    assert select(shuffled, previous, SETTINGS) == select(sources, previous, SETTINGS)


@given(any_sources(), previous_peers)
def test_every_source_gets_one_tally_and_the_weights_fit_them(sources, previous):
    selection = select(sources, previous, SETTINGS)
    assert set(selection.choices) == {each.name for each in sources}
    assert all(choice.reason.endswith(".") for choice in selection.choices.values())
    led = {name for name, choice in selection.choices.items() if choice.tally in (Tally.SELECTED, Tally.PPS)}
    if selection.system_peer is None:
        assert not led
        assert not selection.weights
    else:
        assert selection.system_peer in led
        assert selection.system_peer in selection.weights
        assert abs(sum(selection.weights.values()) - 1) < ROUNDING
        assert selection.reason


@given(any_sources(), previous_peers)
def test_what_may_not_be_selected_has_no_weight(sources, previous):
    weights = select(sources, previous, SETTINGS).weights
    barred = {
        each.name for each in sources if each.noselect or not each.reachable or (each.pulse and not each.numbered)
    }
    assert not barred & set(weights)


@given(any_sources(), offsets, previous_peers)
def test_a_source_marked_noselect_changes_nothing_for_the_others(sources, offset, previous):
    # Pulse lines apart: to number their seconds is what a noselect source may do.
    sources = [replace(each, pulse=False) for each in sources]
    watched = Candidate(name="watched", offset=offset, distance=0.1, deviation=0, jitter=0, noselect=True)
    without, beside = select(sources, previous, SETTINGS), select([*sources, watched], previous, SETTINGS)
    assert (without.system_peer, without.weights) == (beside.system_peer, beside.weights)


@given(distances, st.floats(-9e-5, 9e-5), st.sampled_from(["s0", "s1"]))
def test_the_system_peer_stays_for_a_tiny_difference(distance, difference, previous):
    one = Candidate(name="s0", offset=0, distance=distance, deviation=0, jitter=0)
    other = replace(one, name="s1", distance=abs(distance + difference))
    assert select([one, other], previous, SETTINGS).system_peer == previous


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)).map(sorted), max_size=7))
def test_the_sweep_finds_what_counting_every_point_finds(pairs):
    intervals = [Interval(low, high) for low, high in pairs]
    depth = {point / 2: sum(each.low <= point / 2 <= each.high for each in intervals) for point in range(26)}
    agreement = find_agreement(intervals)
    assert agreement.votes == max(depth.values())
    covered = [point for point, votes in depth.items() if votes >= agreement.needed]
    assert agreement.hull == (Interval(covered[0], covered[-1]) if covered else None)
    for region in agreement.regions:
        inside = [votes for point, votes in depth.items() if region.low <= point <= region.high]
        assert min(inside) >= agreement.needed
        assert max(inside) == agreement.votes


def selection_time(sources: list[Candidate]) -> float:
    start = time.process_time()
    selection: Selection = select(sources, None, SETTINGS)
    assert selection.system_peer
    return time.process_time() - start


def test_twenty_sources_cost_less_than_a_millisecond():
    sources = [Candidate(name=f"s{n}", offset=n * 1e-4, distance=1e-2, deviation=1e-5, jitter=1e-6) for n in range(20)]
    assert min(selection_time(sources) for _ in range(50)) < 1e-3
