"""Settings shown to people: every value with its origin for `--check`, and what a reload would change."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from ntp_usg.config.models import ARRAYS, Settings, Table, kind
from ntp_usg.config.values import toml_scalar


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One value in force."""

    key: str
    name: str
    """The key as it is written: dotted, or bare below the line that begins its [[source]]."""
    value: str | None
    """As TOML; None where nothing is set."""
    origin: str
    """`gps.conf:2`, a flag or `default`."""

    def __str__(self) -> str:
        setting = f"# {self.name} is not set" if self.value is None else f"{self.name} = {self.value}"
        return f"{setting}   # {self.origin}"


def explain_settings(settings: Settings) -> list[SettingLine]:
    """Every value in force, in the order of the tables; those that are one of several come last, as in TOML."""
    single, several = _tables(settings)
    lines = [_line(settings, f"{name}.{key}", f"{name}.{key}", value) for name, key, value in _values(single)]
    for name, table in several.items():  # after [[...]] a dotted key would be inside
        for number, (_, key, value) in enumerate(_values({name: table})):
            heading = "" if number else f"[[{kind(name)}]]\n"
            lines.append(_line(settings, f"{name}.{key}", heading + key, value))
    return lines


def difference(old: Settings, new: Settings) -> list[str]:
    """The dotted keys whose values differ, also those of a driver that came or went."""
    before, after = (
        {f"{name}.{key}": value for tables in _tables(settings) for name, key, value in _values(tables)}
        for settings in (old, new)
    )
    unset = object()
    return [key for key in {**before, **after} if before.get(key, unset) != after.get(key, unset)]


def _line(settings: Settings, key: str, name: str, value: object) -> SettingLine:
    return SettingLine(key, name, toml_value(value), settings.origins.get(key, "default"))


def _tables(settings: Settings) -> tuple[dict[str, BaseModel], dict[str, BaseModel]]:
    """Those that are there once, and those that are one of several."""
    tables: dict[str, BaseModel] = {name: table for name, table in settings if isinstance(table, Table)}
    tables |= settings.drivers
    tables |= {f"source.{number}": source for number, source in enumerate(settings.sources, 1)}
    count = Counter(kind(name) for name in tables)
    several = {name: table for name, table in tables.items() if kind(name) in ARRAYS or count[kind(name)] > 1}
    return {name: table for name, table in tables.items() if name not in several}, several


def _values(tables: Mapping[str, BaseModel]) -> Iterator[tuple[str, str, object]]:
    """The values as their models write them: numbers, texts and lists, which load again."""
    for name, table in tables.items():
        for key, value in table.model_dump(mode="json").items():
            yield name, key, value


def toml_value(value: object) -> str | None:
    """As it is written in TOML; None where there is nothing to write."""
    if value is None:
        return None
    if isinstance(value, list):
        return f"[{', '.join(str(toml_value(item)) for item in value)}]"
    return toml_scalar(value)
