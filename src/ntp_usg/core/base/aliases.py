"""What ntpd and chrony call a setting that has another name here: for people who bring their configuration along."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Alias:
    """Another program's word for a setting."""

    key: str
    """What it is called here; empty where there is no such thing."""
    translate: Callable[[Any], object] = lambda value: value
    """Our value for theirs; raises ValueError in words."""
    example: int | None = None
    """One of their values, where the translation changes it."""
    advice: str = ""
    """Why there is no such thing, or what to write instead."""


def flag(key: str, off: object, on: object) -> Alias:
    """One of ntpd's `flag1` to `flag4`: what 0 and 1 stand for depends on the driver."""

    def translate(value: object) -> object:
        if type(value) is not int or value not in (0, 1):
            raise ValueError("is a flag of ntpd: must be 0 or 1")
        return on if value else off

    return Alias(key, translate, example=1)


def exponent(key: str) -> Alias:
    """An interval that ntpd and chrony write as an exponent of two, and we in seconds."""

    def translate(value: object) -> int:
        if type(value) is not int or not 0 <= value <= 10:
            raise ValueError("is an exponent of two: must be a whole number from 0 to 10")
        return 1 << value

    return Alias(key, translate, example=4)


def precision(key: str) -> Alias:
    """How exact a reading is: an exponent of two for ntpd, seconds for chrony, and for us a bound in seconds."""

    def translate(value: object) -> object:
        return 2.0**value if type(value) is int and -32 <= value <= 0 else value

    return Alias(key, translate, example=-10)


def absent(advice: str) -> Alias:
    """A word for which there is no setting; the advice says why, or what to write instead."""
    return Alias("", advice=advice)


def aliases_of(model: type) -> Mapping[str, Alias]:
    """The aliases that a model of settings declares in `ALIASES`, without those that it has no use for.

    A class takes its parents' over: a name that is now a key of its own, or of a key that it has not, is none.
    """
    keys = getattr(model, "model_fields", {})
    declared: Mapping[str, Alias] = getattr(model, "ALIASES", {})
    return {name: alias for name, alias in declared.items() if name not in keys and (alias.key in keys or alias.advice)}
