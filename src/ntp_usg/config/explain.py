"""Settings shown to people: every value with its origin for `--check`, and what a reload would change."""

from collections.abc import Iterator
from dataclasses import dataclass

from ntp_usg.config.models import ARRAYS, Settings, Table
from ntp_usg.config.values import toml_scalar


@dataclass(frozen=True, slots=True)
class SettingLine:
    """One value in force."""

    key: str
    value: str | None
    """As TOML; None where nothing is set."""
    origin: str
    """`gps.conf:2`, a flag or `default`."""

    @property
    def name(self) -> str:
        """The key as it is written: dotted, or bare below the line that begins its [[source]]."""
        table, _, rest = self.key.partition(".")
        if table not in ARRAYS:
            return self.key
        key = rest.partition(".")[2]
        return f"[[{table}]]\n{key}" if key == next(iter(ARRAYS[table].model_fields)) else key

    def __str__(self) -> str:
        setting = f"# {self.name} is not set" if self.value is None else f"{self.name} = {self.value}"
        return f"{setting}   # {self.origin}"


def explain_settings(settings: Settings) -> list[SettingLine]:
    """Every value in force, in the order of the tables."""
    return [
        SettingLine(key, toml_value(value), settings.origins.get(key, "default")) for key, value in _values(settings)
    ]


def difference(old: Settings, new: Settings) -> list[str]:
    """The dotted keys whose values differ, also those of a driver that came or went."""
    before, after = dict(_values(old)), dict(_values(new))
    unset = object()
    return [key for key in {**before, **after} if before.get(key, unset) != after.get(key, unset)]


def _values(settings: Settings) -> Iterator[tuple[str, object]]:
    """The values as their models write them: numbers, texts and lists, which load again."""
    tables = [(name, table) for name, table in settings if isinstance(table, Table)]
    sources = [(f"source.{number}", source) for number, source in enumerate(settings.sources, 1)]
    for name, table in [*tables, *settings.drivers.items(), *sources]:  # after [[...]] a dotted key would be inside
        for key, value in table.model_dump(mode="json").items():
            yield f"{name}.{key}", value


def toml_value(value: object) -> str | None:
    """As it is written in TOML; None where there is nothing to write."""
    if value is None:
        return None
    if isinstance(value, list):
        return f"[{', '.join(str(toml_value(item)) for item in value)}]"
    return toml_scalar(value)
