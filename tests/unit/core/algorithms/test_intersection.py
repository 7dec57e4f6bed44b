from ntp_usg.core.algorithms.intersection import Interval, find_agreement


def test_the_majority_is_the_points_that_more_than_half_of_the_intervals_cover():
    agreement = find_agreement([Interval(0, 4), Interval(1, 5), Interval(2, 9)])
    assert (agreement.regions, agreement.votes, agreement.hull) == ((Interval(1, 5),), 3, Interval(1, 5))


def test_without_a_majority_the_votes_are_still_counted():
    agreement = find_agreement([Interval(0, 1), Interval(1, 2), Interval(5, 6), Interval(7, 8)])
    assert (agreement.regions, agreement.votes, agreement.needed, agreement.hull) == ((), 2, 3, None)


def test_two_groups_may_be_a_majority_at_once():
    agreement = find_agreement([Interval(0, 1), Interval(8, 9), Interval(-5, 20)])
    assert agreement.regions == (Interval(0, 1), Interval(8, 9))
    assert agreement.hull == Interval(0, 9)


def test_the_better_supported_group_wins_but_the_hull_keeps_both():
    agreement = find_agreement([Interval(0, 1), Interval(8, 9), Interval(8, 9), Interval(-5, 20), Interval(-5, 20)])
    assert agreement.regions == (Interval(8, 9),)
    assert agreement.hull == Interval(0, 9)


def test_the_middle_is_no_condition():
    agreement = find_agreement([Interval(-3, 1), Interval(0.5, 9)])
    assert agreement.regions == (Interval(0.5, 1),)


def test_nobody_agrees_on_nothing():
    assert find_agreement([]).regions == ()


def test_intervals_of_no_width_agree_where_they_meet():
    assert find_agreement([Interval(1, 1), Interval(1, 1)]).regions == (Interval(1, 1),)
