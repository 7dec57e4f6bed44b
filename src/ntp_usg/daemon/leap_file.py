"""The list of leap seconds on disk: read again when it changes, since the daemon may run for years."""

import logging
from pathlib import Path

from ntp_usg.core.algorithms.leap_list import MAX_BYTES, LeapTable, parse_leap_list
from ntp_usg.core.base.dates import DAY_NS, date_of
from ntp_usg.core.base.errors import ConfigError
from ntp_usg.core.base.instants import WallNs
from ntp_usg.sysapi.state_files import read_trusted

log = logging.getLogger(__name__)

NOTICE_NS = 30 * DAY_NS
"""A new list comes out half a year before the old one expires: who has none by then must be told."""


class LeapFile:
    """The list in force; a file that is missing or wrong never takes its place."""

    def __init__(self, path: str) -> None:
        self.table: LeapTable | None = None
        self._path = Path(path) if path else None
        self._seen: tuple[int, ...] | None = None
        self._complaint = ""
        self._warned: tuple[WallNs, bool] | None = None
        self.look()

    def look(self) -> bool:
        """Read the file if it has changed since; whether there is a new list. What is wrong is said once."""
        if self._path is None or (seen := self._stamp(self._path)) == self._seen:
            return False
        self._seen = seen
        try:
            table = parse_leap_list(read_trusted(self._path, MAX_BYTES), str(self._path))
        except OSError as error:
            self._complain(f"No leap second file: {self._path}: {error.strerror} (Debian has it in the package tzdata)")
        except ConfigError as error:
            self._complain(f"The leap second file cannot be used: {error}")
        else:
            self._complaint = ""
            changed, self.table = table != self.table, table
            if changed:
                log.info("Leap second list read from %s: it is valid until %s", self._path, date_of(table.expires))
            return changed
        return False

    def warn_of_expiry(self, now: WallNs) -> None:
        """Say once that the list will soon say nothing, and once that it does."""
        if self.table is None or now < self.table.expires - NOTICE_NS:
            return
        warning = self.table.expires, self.table.expired(now)
        if warning != self._warned:
            self._warned = warning
            verb = "expired" if self.table.expired(now) else "expires"
            day = date_of(self.table.expires)
            log.warning("The leap second list %s %s on %s: update it (package tzdata)", self._path, verb, day)

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            kept = "" if self.table is None else f"; the list until {date_of(self.table.expires)} stays in force"
            log.warning("%s%s", text, kept)
        self._complaint = text

    @staticmethod
    def _stamp(path: Path) -> tuple[int, ...]:
        """What tells a file from the one before it, and from none."""
        try:
            status = path.stat()
        except OSError:
            return (0,)
        return status.st_mtime_ns, status.st_size, status.st_ino
