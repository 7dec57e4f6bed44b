"""Settings shown to people: every value with its origin for `--check`, and what a reload would change."""

from collections.abc import Iterator
from dataclasses import dataclass

from ntp_usg.config.models import Settings, Table
from ntp_usg.config.values import toml_scalar


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One value in force."""

    key: str
    value: str | None
    """As TOML; None where nothing is set."""
    origin: str
    """`gps.conf:2`, a flag or `default`."""

    def __str__(self) -> str:
        setting = f"# {self.key} is not set" if self.value is None else f"{self.key} = {self.value}"
        return f"{setting}   # {self.origin}"


def explain_settings(settings: Settings) -> list[SettingLine]:
    """Every value in force, in the order of the tables."""
    return [SettingLine(key, _toml(value), settings.origins.get(key, "default")) for key, value in _values(settings)]


def difference(old: Settings, new: Settings) -> list[str]:
    """The dotted keys whose values differ, also those of a driver that came or went."""
    before, after = dict(_values(old)), dict(_values(new))
    unset = object()
    return [key for key in {**before, **after} if before.get(key, unset) != after.get(key, unset)]


def _values(settings: Settings) -> Iterator[tuple[str, object]]:
    """The values as their models write them: numbers, texts and lists, which load again."""
    tables = [(name, table) for name, table in settings if isinstance(table, Table)]
    for name, table in [*tables, *settings.drivers.items()]:
        for key, value in table.model_dump(mode="json").items():
            yield f"{name}.{key}", value


def _toml(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, list):
        return f"[{', '.join(str(_toml(item)) for item in value)}]"
    return toml_scalar(value)
