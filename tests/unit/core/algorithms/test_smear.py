import pytest
from hypothesis import given
from hypothesis import strategies as st

from ntp_usg.core.algorithms.smear import SmearKind, smear_offset
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.snapshots import Leap

LEAP_AT = WallNs(1_483_228_800_000_000_000)  # 2017-01-01
KINDS = st.sampled_from(SmearKind)
LEAPS = st.sampled_from([Leap.INSERT, Leap.DELETE])


def at(since_leap: float) -> WallNs:
    return WallNs(LEAP_AT + round(since_leap * 1e9))


@pytest.mark.parametrize("kind", SmearKind)
@pytest.mark.parametrize(("leap", "whole"), [(Leap.INSERT, 1.0), (Leap.DELETE, -1.0)])
def test_the_smear_runs_from_noon_to_noon(kind, leap, whole):
    assert smear_offset(at(-43_200), LEAP_AT, kind, leap) == 0
    assert smear_offset(at(-1e6), LEAP_AT, kind, leap) == 0
    # The noon after, by the count that knew no leap second.
    assert smear_offset(at(43_200 + whole), LEAP_AT, kind, leap) == whole
    assert smear_offset(at(1e6), LEAP_AT, kind, leap) == whole


@pytest.mark.parametrize("kind", SmearKind)
def test_half_of_the_second_is_gone_in_the_middle_of_the_leap(kind):
    assert smear_offset(at(0.5), LEAP_AT, kind) == pytest.approx(0.5, abs=1e-9)


def test_linear_and_cosine_differ_between():
    quarter = at(-43_200 + 86_401 / 4)
    assert smear_offset(quarter, LEAP_AT, SmearKind.LINEAR) == pytest.approx(0.25)
    assert smear_offset(quarter, LEAP_AT, SmearKind.COSINE) == pytest.approx(0.146447, abs=1e-6)


def test_without_a_leap_second_nothing_is_smeared():
    assert smear_offset(at(0), LEAP_AT, SmearKind.LINEAR, Leap.NONE) == 0


@given(KINDS, LEAPS, st.floats(-50_000, 50_000), st.floats(1e-3, 100))
def test_the_lag_grows_steadily_and_never_faster_than_its_kind_may(kind, leap, start, step):
    fastest = {SmearKind.LINEAR: 1 / 86_399, SmearKind.COSINE: 1.5708 / 86_399}[kind]
    grown = smear_offset(at(start + step), LEAP_AT, kind, leap) - smear_offset(at(start), LEAP_AT, kind, leap)
    growth = grown if leap is Leap.INSERT else -grown
    assert -1e-15 <= growth <= fastest * step * (1 + 1e-4) + 1e-12
