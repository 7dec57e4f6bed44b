"""The error tree. Errors are raised at codec, configuration and device edges only; elsewhere there are verdicts."""

from dataclasses import dataclass


class NtpUsgError(Exception):
    """Everything that this project raises on purpose."""


class WireError(NtpUsgError):
    """Bytes from outside that are not what their protocol allows."""


class AuthError(NtpUsgError):
    """A key, cookie or signature that cannot be used."""


class DeviceError(NtpUsgError):
    """A receiver, pulse line or other device that cannot be opened or has gone."""


class ClockError(NtpUsgError):
    """A clock that refuses to be read or steered."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing wrong in a configuration, and where: `line` is 0 where no single line is to blame."""

    source: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.source}:{self.line}" if self.line else self.source
        return f"{where}: {self.message}"


class ConfigError(NtpUsgError):
    """A configuration that cannot be used; `problems` lists everything wrong with it at once."""

    def __init__(self, problems: list[ConfigProblem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class BusyError(NtpUsgError):
    """Too many ask at once: try again in a moment."""
