"""Keeps a fault of ours in one source from stopping the others: that source is out for a while, then begins again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from ntp_usg.core.base.actions import Action, SourceFault
from ntp_usg.core.base.instants import MonoNs, nanoseconds, seconds

FIRST_PAUSE = 10.0
LONGEST_PAUSE = 3600.0
"""Seconds that a source is out after its first fault, and at most; each fault doubles the pause."""

Values = ParamSpec("Values")


@dataclass(frozen=True, slots=True)
class _Pause:
    until: MonoNs
    length: float


class Containment:
    """Who is out, and until when.

    `begin_again(name)` replaces a source whose state may be damaged by a new one; `refuse(name)` counts what came for
    a source that is out.
    """

    def __init__(
        self, now: Callable[[], MonoNs], begin_again: Callable[[str], None], refuse: Callable[[str], None]
    ) -> None:
        self.refuse = refuse
        self._now = now
        self._begin_again = begin_again
        self._pauses: dict[str, _Pause] = {}
        self._faults: list[Action] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Do work of one source: an exception in it ends there."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - a fault of ours may be any exception
            self._take_out(name, error)

    def is_out(self, name: str) -> bool:
        """Whether a source is left alone at present."""
        pause = self._pauses.get(name)
        return pause is not None and self._now() < pause.until

    def resumes_at(self, name: str, otherwise: MonoNs) -> MonoNs:
        """When a source that is out may do something again; `otherwise` if that is later or it is not out."""
        pause = self._pauses.get(name)
        return otherwise if pause is None else max(pause.until, otherwise)

    def faults(self) -> list[Action]:
        """The faults that nobody was told of yet."""
        faults, self._faults = self._faults, []
        return faults

    def _take_out(self, name: str, error: Exception) -> None:
        """The first fault counts; what fails while the source is out only shows that it still would."""
        if self.is_out(name):
            self._begin_again(name)
            return
        now, before = self._now(), self._pauses.get(name)
        lately = before is not None and seconds(now - before.until) < LONGEST_PAUSE
        length = min(2 * before.length, LONGEST_PAUSE) if before is not None and lately else FIRST_PAUSE
        self._pauses[name] = _Pause(MonoNs(now + nanoseconds(length)), length)
        self._faults.append(SourceFault(name, error, length))
        self._begin_again(name)


class Contained(Protocol):
    """Whose inputs `contained` guards."""

    containment: Containment


Owner = TypeVar("Owner", bound=Contained)
Input = Callable[Concatenate[Owner, str, Values], list[Action] | None]


def contained(observe: Input[Owner, Values]) -> Callable[Concatenate[Owner, str, Values], list[Action]]:
    """Of an input named after a source: if we fail in it, that source is out, and nobody else.

    People hear of it at the next review, since nobody performs actions after an input that asks for none.
    """

    @wraps(observe)
    def guarded(self: Owner, name: str, /, *args: Values.args, **kwargs: Values.kwargs) -> list[Action]:
        actions: list[Action] | None = None
        if self.containment.is_out(name):
            self.containment.refuse(name)
            return []
        with self.containment.of(name):
            actions = observe(self, name, *args, **kwargs)
        return actions or []

    return guarded
