from ntp_usg.cli.histogram import BINS, histogram


def test_most_stands_in_the_middle_and_the_tails_at_the_ends():
    lines = list(histogram([0.0] * 20 + [-1e-6] * 3 + [1e-6] * 2 + [20e-6], unicode=False))
    assert len(lines) == BINS
    assert lines[BINS // 2] == "       +0 ns  " + "#" * 40 + " 25"
    assert lines[-1] == "> +10.578 us  ## 1"
    assert lines[0] == "< -10.578 us"


def test_one_wild_value_does_not_hide_how_the_others_scatter():
    lines = list(histogram([-2e-6, -1e-6, 0.0, 1e-6, 2e-6] * 4 + [1.0], unicode=False))
    assert sum("#" in line for line in lines) == 6


def test_bars_are_drawn_to_an_eighth_of_a_letter():
    lines = list(histogram([0.0] * 64 + [-1.0, 1.0], unicode=True))
    assert lines[BINS // 2] == "       +0 ns  " + "█" * 40 + " 64"
    assert lines[0] == "<-474.757 ms  ▋ 1"


def test_what_does_not_scatter_has_no_picture():
    assert list(histogram([0.0] * 9, unicode=True)) == []
