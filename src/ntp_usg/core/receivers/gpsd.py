"""What gpsd says, one JSON object a line (gpsd_json(5)): bytes in, reports out."""

import json
from dataclasses import dataclass

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs

LONGEST_LINE = 16_384
"""gpsd itself stops at 10240 characters, in a sky full of satellites."""
WATCH = b'?WATCH={"enable":true,"json":true,"pps":true,"timing":true};\r\n'
"""Asks for everything: positions tell whether there is a fix."""
HAS_FIX = 2
"""TPV's mode: a fix in two dimensions, or better."""


@dataclass(frozen=True, slots=True)
class Version:
    """Who we talk to: gpsd's first line."""

    release: str


@dataclass(frozen=True, slots=True)
class TimeReport:
    """When a receiver's second came, by its own clock and by the host's: of a pulse (PPS) or of a message (TOFF)."""

    device: str
    pulse: bool
    real: WallNs
    host: HostNs
    precision: int
    """Exponent of two, in seconds."""


@dataclass(frozen=True, slots=True)
class FixReport:
    """How good the fix of a receiver is; `mode` is 0 or 1 without any."""

    device: str
    mode: int


@dataclass(frozen=True, slots=True)
class DeviceReport:
    """A receiver that gpsd has opened or lost."""

    device: str
    active: bool


Report = Version | TimeReport | FixReport | DeviceReport

_MESSAGE_PRECISION, _PULSE_PRECISION = -10, -20


def parse_report(line: bytes) -> Report | None:
    """Read a line; None for a report that says nothing of time. Raises WireError for what is none of gpsd's."""
    try:
        # Text of megabytes or of a thousand brackets never gets here: lines are short; but a few hundred will nest.
        report = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WireError("not JSON") from error
    if not isinstance(report, dict):
        raise WireError("not a JSON object")
    match report.get("class"):
        case "VERSION":
            return Version(_text(report, "release"))
        case "PPS" | "TOFF" as kind:
            return _time_report(report, pulse=kind == "PPS")
        case "TPV":
            return FixReport(_text(report, "device"), _integer(report, "mode", 0, 9, default=0))
        case "DEVICE":
            return DeviceReport(_text(report, "path"), active=report.get("activated", 0) not in (0, 0.0))
        case str():
            return None
        case _:
            raise WireError("a report without a class")


def _time_report(report: dict[str, object], *, pulse: bool) -> TimeReport:
    precision = _PULSE_PRECISION if pulse else _MESSAGE_PRECISION
    return TimeReport(
        device=_text(report, "device"),
        pulse=pulse,
        real=WallNs(_instant(report, "real")),
        host=HostNs(_instant(report, "clock")),
        precision=_integer(report, "precision", -32, 0, default=precision),
    )


def _instant(report: dict[str, object], name: str) -> int:
    whole = _integer(report, f"{name}_sec", 0, 2**40)
    return whole * NS_PER_SECOND + _integer(report, f"{name}_nsec", 0, NS_PER_SECOND - 1)


def _integer(report: dict[str, object], name: str, low: int, high: int, default: int | None = None) -> int:
    value = report.get(name, default)
    if type(value) is not int or not low <= value <= high:
        raise WireError(f"{name} is not from {low} to {high}")
    return value


def _text(report: dict[str, object], name: str) -> str:
    """What a log can show: gpsd's words are not all its own."""
    value = report.get(name, "")
    if not isinstance(value, str) or len(value) > 256 or not value.isprintable():
        raise WireError(f"{name} is no short text")
    return value
