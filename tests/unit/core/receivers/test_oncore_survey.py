"""The mean of many fixes."""

import json

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.samples import Position
from ntp_usg.core.receivers.oncore_survey import Survey, build_survey, parse_survey

HOME = Position(51.4779, -0.0015, 92.4)
ABROAD = Position(48.8362, 2.3364, 67.0)


def surveyed(*fixes, survey=None):
    survey = survey or Survey()
    for fix in fixes:
        survey = survey.add(fix)
    return survey


def test_it_is_the_mean_of_all_fixes():
    survey = surveyed(Position(10, 20, 30), Position(10.0002, 20.0004, 36), Position(10.0004, 20.0002, 33))
    assert survey.count == 3
    assert survey.position.latitude_deg == pytest.approx(10.0002)
    assert survey.position.longitude_deg == pytest.approx(20.0002)
    assert survey.position.height_m == pytest.approx(33)


def test_it_may_lie_on_the_date_line():
    survey = surveyed(Position(0, 179.9999), Position(0, -179.9999))
    assert abs(survey.position.longitude_deg) == pytest.approx(180)


def test_a_wild_fix_is_left_out():
    survey = surveyed(*[HOME] * 60, ABROAD, HOME)
    assert survey.count == 61
    assert survey.position.distance_m(HOME) < 0.01


def test_an_antenna_that_was_carried_away_is_surveyed_anew():
    survey = surveyed(*[HOME] * 100, *[ABROAD] * 61)
    assert survey.count == 1
    assert survey.position == ABROAD


def test_it_goes_on_where_it_was():
    survey = surveyed(*[HOME] * 100, ABROAD)
    assert parse_survey(build_survey(survey)) == survey


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"null",
        b"[]",
        b"{}" + b" " * 1000,
        b"[" * 999,
        b'{"count": 1, "else": 2}',
        b'{"count": 1e400}',
        b'{"count": true}',
        b'{"count": -1}',
        b'{"count": 1.5}',
        b'{"strangers": 61}',
        b'{"latitude_deg": NaN}',
        b'{"latitude_deg": "51"}',
        b'{"latitude_deg": 90.1}',
        b'{"longitude_deg": Infinity}',
        b'{"height_m": 1e6}',
        b'{"height_m": 1' + b"0" * 400 + b"}",
    ],
)
def test_a_file_that_holds_something_else_is_refused(data):
    with pytest.raises(WireError):
        parse_survey(data)


def test_fields_that_are_missing_are_those_of_the_beginning():
    assert parse_survey(json.dumps({}).encode()) == Survey()
