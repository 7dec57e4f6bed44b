from typing import ClassVar

import pytest
from pydantic import BaseModel

from ntp_usg.core.base.aliases import Alias, absent, aliases_of, exponent, flag, precision


def test_a_flag_of_ntpd_is_two_values_of_ours():
    edge = flag("edge", "Assert", "Clear")
    assert [edge.translate(value) for value in (0, 1)] == ["Assert", "Clear"]


@pytest.mark.parametrize("value", [2, -1, True, "1", 1.0, None])
def test_a_flag_is_0_or_1(value: object):
    with pytest.raises(ValueError, match="must be 0 or 1"):
        flag("edge", "Assert", "Clear").translate(value)


def test_an_exponent_becomes_seconds():
    assert [exponent("interval").translate(value) for value in (0, 4, 10)] == [1, 16, 1024]


@pytest.mark.parametrize("value", [-1, 11, 10**9, True, "4", 4.0])
def test_an_exponent_out_of_reason_is_refused(value: object):
    with pytest.raises(ValueError, match="from 0 to 10"):
        exponent("interval").translate(value)


@pytest.mark.parametrize(("value", "meant"), [(-10, 2**-10), (0, 1.0), (1e-6, 1e-6), (1, 1), (-33, -33), ("x", "x")])
def test_a_precision_is_an_exponent_or_seconds_and_anything_else_is_left_to_the_model(value: object, meant: object):
    assert precision("accuracy").translate(value) == meant


def test_a_name_that_is_a_key_is_no_alias_nor_is_one_of_a_key_that_is_not_there():
    class Parent(BaseModel):
        ALIASES: ClassVar = {"refid": Alias("name"), "poll": Alias("interval"), "time2": absent("no")}
        name: str = ""

    class Child(Parent):
        time2: float = 0.0
        interval: int = 1

    assert list(aliases_of(Parent)) == ["refid", "time2"]
    assert list(aliases_of(Child)) == ["refid", "poll"]
    assert aliases_of(BaseModel) == {}
