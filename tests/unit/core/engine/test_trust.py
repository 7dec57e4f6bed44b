"""Doubts and what follows from them: trust, words, and notes that come once."""

import pytest

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.samples import Fix, FixQuality, Position
from ntp_usg.core.engine.position_watch import PositionWatch
from ntp_usg.core.engine.trust import ENOUGH, OF_THE_SIGNAL, QUIET, WEIGHTS, Trust, judge_geometry

HOME = Position(47.0, 8.0, 400.0)


def at(second: float) -> MonoNs:
    return MonoNs(round(second * 10**9))


def trouble(doubt: Doubt, *, severe: bool = False) -> Trouble:
    return Trouble(doubt, f"{doubt} it is", severe)


def texts(trust: Trust, second: float) -> list[str]:
    return [note.text for note in trust.review(at(second))]  # type: ignore[union-attr]


def test_every_doubt_has_a_weight_and_none_that_is_mild_takes_the_trust_alone():
    assert set(WEIGHTS) == set(Doubt)
    assert all(ENOUGH <= weight.mild < 1 for weight in WEIGHTS.values())
    assert all(weight.severe < weight.mild for weight in WEIGHTS.values())


@pytest.mark.parametrize("doubt", Doubt)
def test_every_doubt_has_a_sentence_for_people(doubt: Doubt):
    assert doubt.explanation.endswith(".")


def test_a_receiver_that_says_it_is_broken_is_only_watched_and_so_are_its_pulses():
    trust, pulses = Trust("TSIP(0)"), Trust("PPS(0)")
    trust.report("device", [trouble(Doubt.FAULT, severe=True)])
    pulses.report("receiver", trust.of(OF_THE_SIGNAL))
    assert trust.level == pulses.level < ENOUGH


def test_without_doubts_a_source_is_trusted_wholly():
    trust = Trust("GPS(0)")
    assert (trust.level, trust.lost, trust.objection(at(0))) == (1, False, "")


def test_several_mild_doubts_add_up():
    trust = Trust("GPS(0)")
    trust.report("device", [trouble(Doubt.SPOOFING)])
    assert trust.level > ENOUGH
    trust.report("sky", [trouble(Doubt.GEOMETRY)])
    trust.report("place", [trouble(Doubt.MOVED)])
    assert trust.lost
    assert trust.objection(at(0)) == "Not trusted: spoofing it is; geometry it is; moved it is."


def test_one_doubt_of_two_witnesses_counts_once_and_by_the_worse_word():
    trust = Trust("GPS(0)")
    trust.report("device", [trouble(Doubt.GEOMETRY)])
    trust.report("sky", [trouble(Doubt.GEOMETRY, severe=True)])
    assert trust.level == WEIGHTS[Doubt.GEOMETRY].severe
    assert len(trust.doubts) == 1


def test_trust_comes_back_only_after_minutes_of_quiet():
    trust = Trust("GPS(0)")
    trust.report("device", [trouble(Doubt.SPOOFING, severe=True)])
    assert texts(trust, 0)[-1] == "GPS(0): Not trusted: spoofing it is."
    trust.report("device", [])
    trust.review(at(10))
    assert trust.lost
    assert not trust.accused
    assert trust.level < ENOUGH
    trust.review(at(10 + QUIET - 1))
    assert trust.objection(at(100)).startswith("Not trusted again yet: without a fault for 90 s")
    assert texts(trust, 10 + QUIET) == ["GPS(0): trusted again after 180 s without a fault"]
    assert trust.level == 1


def test_quiet_begins_anew_with_each_relapse():
    trust = Trust("GPS(0)")
    for second in (0, 100):
        trust.report("device", [trouble(Doubt.SPOOFING, severe=True)])
        trust.review(at(second))
        trust.report("device", [])
        trust.review(at(second + 1))
    trust.review(at(1 + QUIET))
    assert trust.lost


def test_people_hear_of_a_doubt_once_however_often_it_comes_and_goes():
    trust = Trust("GPS(0)")
    lines = []
    for second in range(100):
        trust.report("sky", [trouble(Doubt.GEOMETRY)] if second % 2 else [])
        lines += texts(trust, second)
    trust.report("sky", [])
    lines += texts(trust, 120) + texts(trust, 170)
    assert len(lines) == 2
    assert lines[0].startswith("GPS(0): doubt: geometry it is. Few satellites")
    assert lines[1] == "GPS(0): the doubt geometry has ended"


@pytest.mark.parametrize(
    ("fix", "text", "severe"),
    [
        (Fix(FixQuality.GPS, 3, dimensions=2), "2D fix, with an assumed height", False),
        (Fix(FixQuality.GPS, 5, pdop=12.0, dimensions=3), "PDOP 12.0", False),
        (Fix(FixQuality.GPS, 4, pdop=12.0, tdop=30.0), "TDOP 30.0", True),
    ],
)
def test_poor_geometry_is_told(fix, text, severe):
    assert judge_geometry(fix) == (Trouble(Doubt.GEOMETRY, text, severe),)


@pytest.mark.parametrize(
    "fix", [Fix(FixQuality.GPS, 8, hdop=1.0, pdop=1.8, dimensions=3), Fix(FixQuality.GPS, 1, hdop=99.0, dimensions=1)]
)
def test_a_good_fix_and_a_timing_receiver_with_one_satellite_are_fine(fix):
    assert judge_geometry(fix) == ()


def north(metres: float, home: Position = HOME) -> Position:
    return Position(home.latitude_deg + metres / 111_195, home.longitude_deg, home.height_m)


def settled(home: Position = HOME) -> PositionWatch:
    watch = PositionWatch()
    for second in range(300):
        assert watch.see(north(5 * (second % 3 - 1), home), at(second)) == ()
    return watch


def test_a_station_that_moves_is_noticed_within_seconds_and_its_return_too():
    watch = settled()
    found = [watch.see(north(312), at(300 + second)) for second in range(5)]
    assert found[:4] == [()] * 4
    assert found[4] == (Trouble(Doubt.MOVED, "moved by 312 m (if it may, say `mobile = true`)", severe=True),)
    assert watch.see(HOME, at(310)) == ()


def test_a_single_wild_position_is_nothing():
    watch = settled()
    assert watch.see(north(5000), at(300)) == ()
    assert watch.see(HOME, at(301)) == ()


def test_a_new_place_is_believed_after_ten_minutes():
    watch = settled()
    found = [watch.see(north(312), at(300 + second)) for second in range(700)]
    assert found[500]
    assert found[-1] == ()


def test_the_date_line_is_no_distance():
    watch = PositionWatch()
    for second in range(300):
        sign = 1 if second % 2 else -1
        assert watch.see(Position(0.0, sign * 179.99999), at(second)) == ()
