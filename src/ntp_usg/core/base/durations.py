"""Intervals as people write and read them: `250us`, `10ms`, `3.5 h`; one reader for the daemon and its drivers."""

import re
from collections.abc import Mapping
from typing import Any

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
_INTERVAL = re.compile(rf"(?P<number>[+-]?[0-9]{{1,18}}(?:\.[0-9]{{1,18}})?) *(?P<unit>{'|'.join(_UNITS)})")


def parse_interval(text: str) -> float | None:
    """Seconds, which may be negative; None for what is no interval with a unit."""
    match = _INTERVAL.fullmatch(text)
    return float(match["number"]) * _UNITS[match["unit"]] if match else None


def format_duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.5 h`, `12.0 d`."""
    for limit, divisor, unit, form in ((120, 1, "s", ".0f"), (7200, 60, "min", ".0f"), (172800, 3600, "h", ".1f")):
        if seconds < limit:
            return f"{seconds / divisor:{form}} {unit}"
    return f"{seconds / 86400:.1f} d"


def is_interval(key: str) -> bool:
    """Whether a key of the configuration holds seconds."""
    return key.endswith("_secs") or key == "dispersion"


def read_intervals(values: Any) -> Any:  # noqa: ANN401 - input of any type, as pydantic hands it over
    """A table in which every interval that was written as a text is a number of seconds; other texts stay."""
    if not isinstance(values, Mapping):
        return values
    return {
        key: _seconds(value) if is_interval(key) and isinstance(value, str) else value for key, value in values.items()
    }


def _seconds(text: str) -> float | int | str:
    """Whole where it can be: some keys take whole seconds only."""
    interval = parse_interval(text)
    if interval is None:
        return text
    return int(interval) if interval.is_integer() else interval
