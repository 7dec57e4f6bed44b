"""What SIGHUP changes: some settings at once, the others at the next restart, and nothing where the files are wrong."""

import logging
from collections.abc import Callable, Collection
from typing import Protocol

from ntp_usg.config.explain import difference
from ntp_usg.config.models import Settings
from ntp_usg.core.base.errors import ConfigError

log = logging.getLogger(__name__)

RELOADABLE = ("access.", "rate_limit.", "server.enable_interleaved")
"""Keys, or beginnings of keys, that a running daemon can take over."""


class Load(Protocol):
    """Reads the settings from the files; raises ConfigError, also where one of the `expected` files is missing."""

    def __call__(self, *, expected: Collection[str]) -> Settings: ...


class Configuration:
    """The settings that run and those that the files asked for last; they differ in what needs a restart."""

    def __init__(self, settings: Settings, load: Load) -> None:
        self.running = self._desired = settings
        self._load = load

    def needs_restart(self) -> list[str]:
        """The dotted keys that are not in force as the files say."""
        return difference(self.running, self._desired)

    def reload(self, adopt: Callable[[Settings], None]) -> None:
        """Read the files again and have what can be changed adopted: all of that or, at any error, nothing.

        `adopt` raises ValueError where it cannot follow. A file that was there before must still be there: to take its
        absence for an empty one would open access lists.
        """
        try:
            desired = self._load(expected=self._desired.files)
            changed = [key for key in difference(self.running, desired) if key.startswith(RELOADABLE)]
            running = _with(self.running, desired, changed)
            adopt(running)
        except (ConfigError, ValueError) as error:
            log.error("Not reloaded, everything stays as it was:\n%s", error)  # noqa: TRY400 - the error is the news
            return
        self.running, self._desired = running, desired
        log.info("Reloaded: %s", ", ".join(changed) or "no setting that takes effect at once has changed")
        if waiting := self.needs_restart():
            log.warning("These need a restart: %s", ", ".join(waiting))


def _with(running: Settings, desired: Settings, keys: Collection[str]) -> Settings:
    """The running settings with the desired values of some keys."""
    changes: dict[str, dict[str, object]] = {}
    for table, _, name in (key.partition(".") for key in keys):
        changes.setdefault(table, {})[name] = getattr(getattr(desired, table), name)
    tables = {table: getattr(running, table).model_copy(update=values) for table, values in changes.items()}
    return running.model_copy(update=tables)
