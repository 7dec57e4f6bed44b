"""What a state machine asks its runner to do. Plain values: nothing inside `core/` calls back, queues or awaits."""

from dataclasses import dataclass
from enum import StrEnum

from ntp_usg.core.base.mapping import ClockMapping


class Level(StrEnum):
    """How loud a note is; the words of Python's logging."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Note:
    """A line for the log. Only changes make notes, never single packets."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class Steer:
    """Make the clock follow this mapping of raw time; `step` says whether it jumps."""

    mapping: ClockMapping
    step: bool


@dataclass(frozen=True, slots=True)
class Publish:
    """Serve the new state: `Engine.serving` has it, once the actions before this one are done."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a request to the server of an association, from a port of its own; report the departure with `sent`."""

    association: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Leave:
    """Ask another address of this association's server from now on, where its name has one."""

    association: str
    why: str
    for_ever: bool = False
    """The address has refused us: never ask it again."""


@dataclass(frozen=True, slots=True)
class HostClockMoved:
    """Tell people that the host's clock jumped by so many seconds under us, and by whom if that can be found out."""

    jump: float


@dataclass(frozen=True, slots=True)
class SourceFault:
    """Log a fault of this program in the work for one source, which is left alone for `pause` seconds."""

    source: str
    error: Exception
    pause: float


Action = Note | Steer | Publish | Send | Leave | HostClockMoved | SourceFault
