import math
from typing import Any

import pytest

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.selection import Candidate, Selection, SelectionSettings, combine, select
from ntp_usg.core.base.snapshots import Tally


def source(name: str, offset: float, distance: float, **options: Any) -> Candidate:
    defaults = {"deviation": distance / 100, "jitter": distance / 10}
    return Candidate(name=name, offset=offset, distance=distance, **(defaults | options))


def pulses(offset: float = 0.0, name: str = "PPS", **options: Any) -> Candidate:
    return source(name, offset, 1e-6, **({"pulse": True, "numbered": True} | options))


def choose(*candidates: Candidate, previous: str | None = None, **settings: Any) -> Selection:
    return select(candidates, previous, SelectionSettings(**settings))


def tallies(selection: Selection) -> str:
    """The tally marks in the order of the names."""
    return "".join(choice.tally for _, choice in sorted(selection.choices.items()))


A, B, C = source("a", 1e-4, 2e-4), source("b", 0, 3e-4), source("c", 2e-4, 5e-4)
FALSE = source("x", 1.2e-3, 3e-4)


def test_the_one_source_leads():
    selection = choose(A)
    assert (selection.system_peer, selection.weights, tallies(selection)) == ("a", {"a": 1.0}, "*")
    assert (selection.offset, selection.distance) == (1e-4, 2e-4)


def test_without_candidates_nobody_leads_and_it_is_said():
    selection = choose()
    assert (selection.system_peer, selection.reason) == (None, "None of 0 sources is selectable.")


def test_a_falseticker_is_told_with_the_numbers():
    selection = choose(A, B, C, FALSE)
    assert tallies(selection) == "*++x"
    assert selection.choices["x"].reason == (
        "Its interval +1.2 ms +- 300 us does not meet the majority's +100 us +- 200 us (3 of 4 sources)."
    )
    assert "x" not in selection.weights


def test_two_against_two_is_no_majority():
    other = source("y", 1.3e-3, 3e-4)
    selection = choose(A, B, FALSE, other)
    assert selection.system_peer is None
    assert selection.reason == "2 of 4 sources agree, a majority needs 3."
    assert selection.weights == {}
    assert math.isinf(selection.distance)
    assert "+100 us +- 200 us, but nobody leads: 2 of 4" in selection.choices["a"].reason


def test_the_weights_favour_precise_sources_and_add_up_to_one():
    weights = choose(A, B, C).weights
    assert weights["a"] > weights["b"] > weights["c"]
    assert sum(weights.values()) == pytest.approx(1)


def test_an_honest_source_with_an_asymmetric_path_is_no_falseticker():
    # No middle lies where the two intervals meet: RFC 5905's own test gives both up.
    assert tallies(choose(source("a", -1.0, 1.5), source("b", 1.5, 2.0))) == "*+"


def test_intervals_that_touch_agree():
    assert choose(source("a", 0, 1.0), source("b", 2, 1.0)).system_peer == "a"


def test_an_offset_that_cannot_be_the_truth_has_no_weight():
    late = source("late", 4.75e-4, 5.25e-4)
    selection = choose(source("a", 0, 1e-4), source("b", 0, 1e-4), late)
    assert selection.choices["late"].tally is Tally.OUTLIER
    assert "is outside the majority's +0 ns +- 100 us" in selection.choices["late"].reason


class TestTies:
    left, right, wide = source("l", 0, 1e-4), source("r", 5e-3, 1e-4), source("w", 2e-3, 2e-2)

    def test_between_two_groups_leads_who_agrees_with_both(self):
        selection = choose(self.left, self.right, self.wide)
        assert tallies(selection) == "xx*"
        assert "one of several equal groups'" in selection.choices["l"].reason
        assert selection.majority == pytest.approx((-1e-4, 5.1e-3))

    def test_a_clock_that_was_right_so_far_breaks_the_tie(self):
        assert tallies(choose(self.left, self.right, self.wide, previous="w")) == "*x-"

    def test_a_pulse_line_breaks_the_tie_even_against_the_clock(self):
        selection = choose(pulses(5e-3), source("nmea", 0, 0.2), source("server", 0, 1e-4), previous="server")
        assert (selection.system_peer, selection.choices["server"].tally) == ("PPS", Tally.FALSETICKER)

    def test_the_larger_of_two_majorities_wins(self):
        wide = source("v", 2e-3, 2e-2)
        fourth = source("s", 5e-3, 2e-4)
        assert tallies(choose(self.left, self.right, fourth, self.wide, wide, combine_limit=1e6)) == "x*+--"


class TestOptions:
    def test_noselect_is_watched_but_never_followed(self):
        selection = choose(A, source("n", 0, 1e-6, noselect=True))
        assert tallies(selection) == "* "
        assert "noselect" in selection.choices["n"].reason

    def test_noselect_has_no_vote(self):
        crowd = [source(f"n{number}", 1.0, 1e-3, noselect=True) for number in range(5)]
        assert choose(A, *crowd).system_peer == "a"

    def test_an_unreachable_source_has_no_vote(self):
        assert choose(A, source("n", 1.0, 1e-3, reachable=False)).system_peer == "a"

    @pytest.mark.parametrize("distance", [3.1, math.inf, math.nan, -1.0])
    def test_a_distance_beyond_the_limit_has_no_vote(self, distance):
        selection = choose(A, source("n", 1.0, distance, deviation=0.0, jitter=0.0))
        assert tallies(selection) == "* "
        assert "beyond max_distance (3 s)" in selection.choices["n"].reason

    @pytest.mark.parametrize("broken", [{"offset": math.nan}, {"deviation": math.inf}, {"jitter": math.nan}])
    def test_numbers_that_are_none_have_no_vote(self, broken):
        selection = choose(A, source(**({"name": "n", "offset": 0.0, "distance": 1e-6} | broken)))
        assert tallies(selection) == "* "
        assert "no estimate" in selection.choices["n"].reason

    def test_a_preferred_source_leads_alone(self):
        selection = choose(A, B, source("p", 1e-4, 1e-3, prefer=True))
        assert (tallies(selection), selection.weights) == ("++*", {"p": 1.0})
        assert "p leads as preferred" in selection.choices["a"].reason

    def test_a_preferred_falseticker_does_not_lead(self):
        assert choose(A, B, source("p", 1.0, 1e-3, prefer=True)).system_peer == "a"

    def test_a_trusted_source_is_not_outvoted(self):
        trusted = source("t", 0.5, 1e-3, trust=True)
        selection = choose(A, B, C, trusted)
        assert (selection.system_peer, tallies(selection)) == ("t", "xxx*")

    def test_trusted_sources_that_disagree_leave_nobody(self):
        selection = choose(A, B, C, source("t", 0.5, 1e-3, trust=True), source("u", 0.7, 1e-3, trust=True))
        assert selection.reason == "1 of 2 sources agree, a majority needs 2."

    def test_an_untrusted_source_that_agrees_may_lead(self):
        assert choose(A, source("t", 0, 1e-2, trust=True)).system_peer == "a"

    @pytest.mark.parametrize("problem", [{"reachable": False}, {"offset": 1.0}])
    def test_without_a_required_source_nobody_leads(self, problem):
        required = source(**({"name": "r", "offset": 0.0, "distance": 1e-3, "require": True} | problem))
        selection = choose(A, B, required)
        assert selection.reason == "No required source (r) is among those that agree."
        assert selection.choices["a"].tally is Tally.REJECTED

    def test_with_one_required_source_of_two_all_may_lead(self):
        required = [source("r", 1.0, 1e-3, require=True), source("s", 0, 1e-3, require=True)]
        assert choose(A, B, *required).system_peer == "a"

    def test_too_few_sources_agree(self):
        selection = choose(A, B, FALSE, min_sources=3)
        assert selection.reason == "2 sources agree, min_sources asks for 3."
        assert tallies(selection) == "  x"
        assert choose(A, B, C, min_sources=3).system_peer == "a"


class TestPulses:
    def test_a_numbered_pulse_line_leads_alone(self):
        selection = choose(pulses(), source("nmea", 5e-3, 0.2), A)
        assert (tallies(selection), selection.weights) == ("o*+", {"PPS": 1.0})
        assert selection.distance == pytest.approx(1e-6)
        assert selection.choices["a"].reason == "Agrees, and numbers the seconds of PPS."

    def test_the_preferred_source_is_shown_as_numbering(self):
        assert tallies(choose(pulses(), source("nmea", 5e-3, 0.2, prefer=True), A)) == "o+*"

    def test_pulses_alone_are_no_time(self):
        assert choose(pulses()).system_peer is None

    def test_pulses_without_numbers_are_no_time(self):
        assert tallies(choose(pulses(numbered=False), source("nmea", 0, 0.2))) == " *"

    @pytest.mark.parametrize(("offset", "bound", "marks"), [(0.15, 0.2, "o*"), (0.25, 0.2, " *"), (-0.1, 5e-3, " *")])
    def test_pulses_never_win_against_the_interval_of_the_source_that_names_their_seconds(self, offset, bound, marks):
        assert tallies(choose(pulses(), source("nmea", offset, bound))) == marks

    def test_a_source_marked_noselect_may_number(self):
        assert tallies(choose(pulses(), source("nmea", 0.1, 0.2, noselect=True))) == "o "

    def test_a_silent_source_does_not_number(self):
        assert choose(pulses(), source("nmea", 0, 0.2, reachable=False)).system_peer is None

    def test_a_pulse_line_that_a_majority_contradicts_is_a_falseticker(self):
        selection = choose(pulses(0.02), source("nmea", 0, 0.2), source("s", 1e-3, 5e-3), source("t", 1e-3, 5e-3))
        assert tallies(selection) == "x-*+"
        assert selection.system_peer == "s"

    def test_two_pulse_lines_that_agree_are_combined(self):
        selection = choose(pulses(), pulses(5e-7, "PPS2"), source("nmea", 0, 0.2))
        assert tallies(selection) == "o+*"
        assert set(selection.weights) == {"PPS", "PPS2"}

    def test_of_two_pulse_lines_the_majority_tells_which_is_false(self):
        nmea = source("nmea", 0, 0.2)
        selection = choose(pulses(), pulses(0.05, "PPS2"), source("s", 0, 1e-3), source("t", 0, 1e-3), A, nmea)
        assert selection.choices["PPS2"].tally is Tally.FALSETICKER
        assert selection.system_peer == "PPS"


class TestHysteresis:
    def test_the_system_peer_stays_while_it_is_about_as_good(self):
        near = source("b", 0, 1.9e-4)
        assert choose(A, near).system_peer == "b"
        assert choose(A, near, previous="a").system_peer == "a"

    def test_a_much_better_source_takes_over(self):
        assert choose(source("a", 0, 1e-2), source("b", 0, 1e-3), previous="a").system_peer == "b"

    def test_a_system_peer_that_turns_false_is_left(self):
        assert choose(A, B, FALSE, previous="x").system_peer == "a"

    def test_a_lower_stratum_counts_for_distance(self):
        assert choose(source("a", 0, 1e-3, stratum=4), source("b", 0, 2e-3, stratum=1)).system_peer == "b"


def test_clustering_drops_who_strays_beyond_the_noise():
    crowd = [
        source(name, offset, 1e-2, jitter=1e-5) for name, offset in zip("abcd", (0, 1e-6, 2e-6, 1e-6), strict=True)
    ]
    stray = source("s", 5e-3, 1e-2, jitter=1e-3)
    selection = choose(*crowd, stray)
    assert tallies(selection) == "*+++-"
    assert "Its offset is 5 ms from the others" in selection.choices["s"].reason


def test_clustering_keeps_three_whatever_their_scatter():
    assert (
        len(choose(*(source(n, o, 1e-2, jitter=1e-9) for n, o in zip("abc", (0, 1e-3, 5e-3), strict=True))).weights)
        == 3
    )


def test_a_source_that_is_much_worse_is_not_combined():
    selection = choose(A, source("w", 0, 1e-2))
    assert (selection.weights, tallies(selection)) == ({"a": 1.0}, "*-")
    assert "worth combining" in selection.choices["w"].reason


def test_the_system_peer_has_its_weight_however_low_the_limit():
    assert choose(A, B, combine_limit=0.0).weights == {"a": 1.0}


class TestCombine:
    origin = 1_800_000_000_123_456_789

    def estimate(self, offset_ns: int, **values: float) -> Estimate:
        return Estimate(offset_ns, **({"rate": 0.0, "deviation": 1e-6, "jitter": 0.0} | values))

    def test_one_estimate_is_kept_to_the_nanosecond(self):
        one = self.estimate(self.origin, rate=1e-6, jitter=3e-6)
        assert combine([(one, 0.3)]) == one

    def test_offset_and_rate_are_weighted_means(self):
        pair = [(self.estimate(self.origin, rate=1e-6), 1.0), (self.estimate(self.origin + 1000, rate=5e-6), 3.0)]
        combined = combine(pair)
        assert combined.offset_ns == self.origin + 750
        assert combined.rate == pytest.approx(4e-6)

    def test_independent_noise_averages_out_and_disagreement_is_jitter(self):
        pair = [(self.estimate(0), 1.0), (self.estimate(2000), 1.0)]
        combined = combine(pair)
        assert combined.deviation == pytest.approx(1e-6 / math.sqrt(2))
        assert combined.jitter == pytest.approx(1e-6)
