"""The table of leap seconds as IERS and NIST publish it (`leap-seconds.list`), believed only when its hash is right."""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from ntp_usg.core.base.errors import ConfigError, ConfigProblem
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.base.snapshots import Leap

UNIX_EPOCH = 2_208_988_800
"""The file counts seconds from 1900, and does not wrap them in 2036."""
MAX_BYTES = 1 << 16
"""The file of 2026 has 5 kB; a leap second adds 40 bytes."""

_UPDATED = re.compile(r"#\$\s+(\d{1,12})\s*")
_EXPIRES = re.compile(r"#@\s+(\d{1,12})\s*")
_HASH = re.compile(r"#h((?:\s+[0-9a-fA-F]{1,8}){5})\s*")
_STEP = re.compile(r"(\d{1,12})\s+(\d{1,4})\s*(?:#.*)?")


@dataclass(frozen=True, slots=True)
class LeapStep:
    """From `at` on, TAI is ahead of UTC by `tai_offset` seconds."""

    at: WallNs
    tai_offset: int


@dataclass(frozen=True, slots=True)
class LeapTable:
    """Every leap second up to `expires`; about what comes later it says nothing."""

    steps: tuple[LeapStep, ...]
    updated: WallNs
    expires: WallNs

    def expired(self, at: WallNs) -> bool:
        return at >= self.expires

    def tai_offset(self, at: WallNs) -> int | None:
        """TAI minus UTC in seconds at an instant, as far as the table knows; None before 1972."""
        return next((step.tai_offset for step in reversed(self.steps) if step.at <= at), None)

    def tai_offset_by_tai(self, tai_ns: int) -> int | None:
        """The same at an instant counted in TAI; an inserted second is 23:59:59 once more, as Linux has it."""
        found = None
        for step in self.steps:
            before = step.tai_offset if found is None else found
            if tai_ns < step.at + min(before, step.tai_offset) * NS_PER_SECOND:
                break
            found = step.tai_offset
        return found

    def leap_at(self, at: WallNs) -> Leap:
        """Which leap second ends at an instant (the midnight after it)."""
        before, after = self.tai_offset(WallNs(at - 1)), self.tai_offset(at)
        if before is None or after is None or before == after:
            return Leap.NONE
        return Leap.INSERT if after > before else Leap.DELETE


def parse_leap_list(data: bytes, source: str) -> LeapTable:
    """The table in a file's bytes; `source` is the file's name.

    Raises ConfigError with everything wrong that can be told, and where.
    """
    if len(data) > MAX_BYTES:
        raise ConfigError([ConfigProblem(source, 0, f"longer than {MAX_BYTES} bytes: no list of leap seconds")])
    reader = _Reader(source)
    for number, line in enumerate(data.decode("ascii", "replace").splitlines(), start=1):
        reader.read(number, line.strip())
    return reader.table()


class _Reader:
    """Gathers the lines that count, and what is wrong with them."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._problems: list[ConfigProblem] = []
        self._stamps: dict[str, tuple[int, str]] = {}
        self._steps: list[LeapStep] = []
        self._hashed: list[str] = []
        """The digits that the hash covers: update, expiry, then each step, without the space between."""

    def read(self, number: int, line: str) -> None:
        if line.startswith(("#$", "#@", "#h")):
            self._stamp(number, line)
        elif line and not line.startswith("#"):
            self._step(number, line)

    def table(self) -> LeapTable:
        for mark, meaning in (("#$", "date of update"), ("#@", "date of expiry"), ("#h", "hash")):
            if mark not in self._stamps:
                self._complain(0, f"there is no {mark} line with the {meaning}")
        if not self._steps:
            self._complain(0, "there are no leap seconds in it")
        if not self._problems:
            self._check_hash()
        if self._problems:
            raise ConfigError(self._problems)
        updated, expires = (int(self._stamps[mark][1]) for mark in ("#$", "#@"))
        return LeapTable(tuple(self._steps), _wall(updated), _wall(expires))

    def _stamp(self, number: int, line: str) -> None:
        mark = line[:2]
        match = {"#$": _UPDATED, "#@": _EXPIRES, "#h": _HASH}[mark].fullmatch(line)
        if match is None:
            self._complain(number, f"the {mark} line is not as the format asks")
        elif mark in self._stamps:
            self._complain(number, f"a second {mark} line; the first is line {self._stamps[mark][0]}")
        else:
            self._stamps[mark] = number, match[1]

    def _step(self, number: int, line: str) -> None:
        match = _STEP.fullmatch(line)
        if match is None:
            self._complain(number, "not a pair of numbers: the seconds since 1900 and TAI minus UTC")
            return
        self._hashed += match[1], match[2]
        step = LeapStep(_wall(int(match[1])), int(match[2]))
        if not _starts_a_month(int(match[1])):
            self._complain(number, "a leap second must end a month (UTC)")
        elif self._steps and step.at <= self._steps[-1].at:
            self._complain(number, "not later than the line before")
        elif self._steps and abs(step.tai_offset - self._steps[-1].tai_offset) != 1:
            self._complain(number, f"from {self._steps[-1].tai_offset} to {step.tai_offset} is no single leap second")
        self._steps.append(step)

    def _check_hash(self) -> None:
        number, words = self._stamps["#h"]
        covered = self._stamps["#$"][1] + self._stamps["#@"][1] + "".join(self._hashed)
        # SHA-1 because the format says so; it guards against accidents, not against forgers.
        found = hashlib.sha1(covered.encode(), usedforsecurity=False).digest()
        # Word by word as numbers: some publishers leave out leading zeros.
        expected = b"".join(int(word, 16).to_bytes(4, "big") for word in words.split())
        if found != expected:
            self._complain(number, "the hash does not fit the contents: the file was damaged or edited")

    def _complain(self, number: int, message: str) -> None:
        self._problems.append(ConfigProblem(self._source, number, message))


def _wall(since_1900: int) -> WallNs:
    return WallNs((since_1900 - UNIX_EPOCH) * NS_PER_SECOND)


def _starts_a_month(since_1900: int) -> bool:
    unix = since_1900 - UNIX_EPOCH
    if unix % 86_400 or not 0 <= unix <= 100_000_000_000:
        return False
    return datetime.fromtimestamp(unix, UTC).day == 1
