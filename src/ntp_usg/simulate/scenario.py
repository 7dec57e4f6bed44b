"""A scenario file: hosts, servers, links and events in TOML, checked whole before anything runs."""

import re
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from ntp_usg.core.base.errors import ConfigError, ConfigProblem
from ntp_usg.core.base.instants import WallNs
from ntp_usg.simulate.happenings import Cut, Happening, Route
from ntp_usg.simulate.tables import HostTable, LinkTable, ServerTable

_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(rf"([+-]?[0-9]+(?:\.[0-9]+)?) ?({'|'.join(_UNITS)})")
_UNKNOWN_KEY = {"extra_forbidden", "unexpected_keyword_argument"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Scenario(BaseModel):
    """What is simulated. Times in seconds, or texts like "250us", "6h", "1d"."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    title: str = ""
    duration: float = Field(gt=0, le=10 * 366 * 86400)
    settled: float = Field(default=0.0, ge=0)
    """The figures are taken from here on."""
    probe: float = Field(default=16.0, ge=0.001)
    """Time between two looks at the clocks."""
    knots: float = Field(default=1.0, ge=0.001)
    """Time between two knots of the oscillators: longer ones are cheaper, and smoother."""
    start: AwareDatetime = datetime(2026, 1, 1, tzinfo=UTC)
    seed: int = 1
    host: tuple[HostTable, ...] = Field(min_length=1)
    server: tuple[ServerTable, ...] = ()
    link: tuple[LinkTable, ...] = ()
    event: tuple[Happening, ...] = ()

    @property
    def starts_at(self) -> WallNs:
        return WallNs((self.start - _EPOCH) // timedelta(microseconds=1) * 1000)

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        hosts, servers = [host.name for host in self.host], [server.name for server in self.server]
        everybody = [*hosts, *servers]
        if twice := {name for name in everybody if everybody.count(name) > 1}:
            raise ValueError(f"two are called {min(twice)}")
        known = {"host": hosts, "server": servers, "clock": everybody, "between": everybody}
        for where, key, names in self._references():
            if unknown := [name for name in names if name not in known[key]]:
                raise ValueError(f"{where}: there is no {unknown[0]}, only {', '.join(known[key])}")
        links = [frozenset(link.between) for link in self.link]
        for where, pair in self._joined():
            if frozenset(pair) not in links:
                raise ValueError(f"{where}: no link joins {pair[0]} and {pair[1]}")
        return self

    def _references(self) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        """Where a name stands that must be somebody's, under which key, and the name or names."""
        for table in ("link", "event"):
            for index, item in enumerate(getattr(self, table)):
                for key in ("host", "server", "clock", "between"):
                    value = getattr(item, key, ())
                    yield f"{table}.{index}.{key}", key, (value,) if isinstance(value, str) else value

    def _joined(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Where two names stand that a link must join."""
        for index, host in enumerate(self.host):
            for source in host.source:
                yield f"host.{index}.source", (host.name, source.name)
        for index, event in enumerate(self.event):
            if isinstance(event, Cut | Route):
                yield f"event.{index}.between", event.between


def parse_scenario(text: str, source: str) -> Scenario:
    """Read a scenario file; `source` is its name in messages.

    Raises ConfigError with everything that is wrong.
    """
    try:
        return Scenario.model_validate(_in_seconds(tomllib.loads(text)))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([ConfigProblem(source, 0, f"is not TOML: {error}")]) from error
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False)
        raise ConfigError([ConfigProblem(source, 0, _described(detail)) for detail in details]) from error


def _described(detail: ErrorDetails) -> str:
    """The key's path, and what is the matter with it."""
    path = ".".join(map(str, detail["loc"]))
    message = "unknown key" if detail["type"] in _UNKNOWN_KEY else detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "float_parsing":
        message = f'must be a number, or one with a unit of time ({" ".join(_UNITS)}), not "{detail["input"]}"'
    return f"{path}: {message}" if path else message


def _in_seconds(value: Any) -> Any:  # noqa: ANN401 - whatever TOML holds
    """Every text that is a number with a unit of time as its number of seconds, wherever it stands."""
    match value:
        case dict():
            return {key: _in_seconds(item) for key, item in value.items()}
        case list():
            return [_in_seconds(item) for item in value]
        case str() if found := _DURATION.fullmatch(value):
            return float(found[1]) * _UNITS[found[2]]
    return value
