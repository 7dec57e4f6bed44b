"""Clocks that are none: their tables say `pretend = true`, or they are watched and never followed."""

from typing import Any

from ntp_usg.refclocks.driver import DriverOptions

WATCHED_ONLY = "watched only, because `pretend = true` is not set"


class PretenceOptions(DriverOptions):
    """What all clocks can be told that are none."""

    pretend: bool = False
    """Let it lead the clock like a real one. Whoever asks the server is lied to then: a table that somebody forgot must
    not do that."""

    def shared(self) -> dict[str, Any]:
        return super().shared() | {"noselect": self.noselect or not self.pretend}
