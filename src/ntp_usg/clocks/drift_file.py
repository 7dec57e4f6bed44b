"""What a restart need not learn again: the clock's frequency, how steady it is, how late messages come; a small file.

One file for all of it, because it is learned together and one rename keeps it whole; a bad part spoils no other.

The file is JSON, because it is written by a program and read by people; ntpd's and chronyd's files are read too.
"""

import contextlib
import errno
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError

from ntp_usg.core.base.errors import ClockError
from ntp_usg.core.base.samples import MessageLatency
from ntp_usg.sysapi.state_files import read_trusted, write_whole

MAXIMUM_BYTES = 65536
"""No drift file of any program is longer; what is, is not read."""

_Frequency = Annotated[FiniteFloat, Field(ge=-10_000, le=10_000)]  # no clock is further off, be it a bad emulator's
_Deviation = Annotated[FiniteFloat, Field(ge=0)]

MOST_RECEIVERS = 8
"""Receivers, or speeds of them, whose latencies are kept: those that were measured last."""
MOST_PARTS = 32
LONGEST_KEY = 300
_LONGEST_PART = 32

_UNKNOWN_DEVIATION_PPM = 1.0
"""What ntpd's file, which does not say, is taken to be good for: a crystal moves by that between summer and winter."""


class SavedPart(BaseModel):
    """How late one part of a receiver's bursts comes, as in MessageLatency; seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    median: Annotated[FiniteFloat, Field(ge=-5, le=5)]
    spread: Annotated[FiniteFloat, Field(ge=0, le=5)]
    uncertainty: Annotated[FiniteFloat, Field(ge=0, le=5)]
    count: Annotated[int, Field(ge=1, le=10**12)]


class SavedLatencies(BaseModel):
    """The same of all parts, and when it was so."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    measured_at: AwareDatetime
    parts: Annotated[Mapping[Annotated[str, Field(max_length=_LONGEST_PART)], SavedPart], Field(max_length=MOST_PARTS)]


class SavedState(BaseModel):
    """What is kept of a clock."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    frequency_ppm: _Frequency
    """How much faster than true time the clock runs by itself, as in SystemSnapshot."""
    deviation_ppm: _Deviation
    """One standard deviation of that."""
    stability_ppm: _Deviation | None = None
    """By how much it wanders in an hour, where that has been learned."""
    saved_at: AwareDatetime | None = None
    """When it was so; None where the file does not say."""
    holdover: Mapping[str, object] = {}
    """The holdover model's own values, which it checks itself."""
    latencies: Mapping[str, object] = {}
    """What `parse_latencies` checks, by the receiver's key."""


_LATENCIES = TypeAdapter(
    Annotated[dict[Annotated[str, Field(max_length=LONGEST_KEY)], SavedLatencies], Field(max_length=MOST_RECEIVERS)]
)


def load(path: Path) -> SavedState | None:
    """What was saved; None where nothing was.

    Raises ClockError, with a text that says what to do, for a file that cannot be read or makes no sense.
    """
    try:
        data = read_trusted(path, MAXIMUM_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ClockError(f"the drift file {path} cannot be used: {error.strerror}") from error
    try:
        return _parse(data)
    except ValueError as error:
        raise ClockError(f"the drift file {path} makes no sense, delete it: {_cause(error)}") from error


def save(path: Path, state: SavedState) -> None:
    """Replace the file, whole or not at all; raises ClockError where that cannot be."""
    try:
        write_whole(path, state.model_dump_json(indent=2).encode() + b"\n")
    except OSError as error:
        raise ClockError(f"the drift file {path} cannot be written: {error.strerror}{_advice(error)}") from error


def _advice(error: OSError) -> str:
    if error.errno not in {errno.ENOENT, errno.EACCES}:
        return ""
    return (
        "; its directory must exist and belong to the user that the server runs as (systemd: StateDirectory=ntp_usg), "
        "or set clock.drift_file"
    )


def parse_latencies(state: SavedState) -> dict[str, SavedLatencies]:
    """How late receivers' messages came; raises ClockError where that part of the file makes no sense."""
    try:
        return _LATENCIES.validate_python(state.latencies)
    except ValidationError as error:
        text = "the receivers' latencies in the drift file cannot be used, they are learned again"
        raise ClockError(f"{text}: {_cause(error)}") from error


def keep_latencies(parts: Mapping[str, MessageLatency], at: datetime) -> SavedLatencies:
    """What pulses have shown until `at`, without what would be taken for nonsense when it is read again."""
    kept: dict[str, SavedPart] = {}
    for part, latency in parts.items():
        if len(kept) < MOST_PARTS and len(part) <= _LONGEST_PART:
            with contextlib.suppress(ValidationError):
                kept[part] = SavedPart.model_validate(asdict(latency))
    return SavedLatencies(measured_at=at, parts=kept)


def _parse(data: bytes) -> SavedState:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ValueError("it is no text") from None
    if text.lstrip().startswith("{"):
        return SavedState.model_validate_json(text)
    return _parse_numbers(text.split())


def _parse_numbers(words: list[str]) -> SavedState:
    """One number is ntpd's: what it adds to the frequency. Two are chronyd's: how fast the clock is, and its bound."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    match numbers:
        case [correction]:
            return SavedState(frequency_ppm=-correction, deviation_ppm=_UNKNOWN_DEVIATION_PPM)
        case [frequency, skew]:
            return SavedState(frequency_ppm=frequency, deviation_ppm=skew)
        case _:
            raise ValueError("it is neither ours nor ntpd's nor chronyd's")


def _cause(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    problem = error.errors(include_url=False, include_input=False)[0]
    return ": ".join([*map(str, problem["loc"]), problem["msg"]])
