from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import FastPathSnapshot, SystemSnapshot
from ntp_usg.core.server.clients import ClientRecord, ClientTable
from ntp_usg.core.server.listing import Question, list_clients
from ntp_usg.core.server.policy import ServerPolicy


@dataclass
class StillView:
    """A daemon frozen one second after its last snapshot."""

    shown: SystemSnapshot
    version: str = "1.2.3"
    listen: Sequence[str] = ("127.0.0.1:123", "[::1]:123")
    started_at: MonoNs = MonoNs(1_000_000_000)
    counted: Mapping[str, int] = field(
        default_factory=lambda: {"answered/basic": 1000, "dropped/rate_limited": 7, "handed_up/not_for_worker": 3}
    )
    fast: FastPathSnapshot | None = None
    table: ClientTable = field(default_factory=lambda: ClientTable(64))
    waiting: Sequence[str] = ()
    unanswered: str = ""

    def needs_restart(self) -> Sequence[str]:
        return self.waiting

    def complaint(self) -> str:
        return self.unanswered

    def now(self) -> MonoNs:
        return MonoNs(self.shown.serving.as_of + 1_000_000_000)

    def snapshot(self) -> SystemSnapshot:
        return self.shown

    def verdicts(self) -> Mapping[str, int]:
        return self.counted

    def clients(self) -> int:
        return 42

    def list_clients(self, question: Question, now: MonoNs) -> Sequence[ClientRecord]:
        return list_clients([self.table], ServerPolicy(), question, now)

    def fast_path(self) -> FastPathSnapshot | None:
        return self.fast

    def queries_per_second(self) -> float:
        return 12.5


@pytest.fixture
def view_of() -> Callable[[SystemSnapshot], StillView]:
    """`view_of(snapshot)`: what the observers see of a daemon in that state."""
    return StillView


@pytest.fixture
def view(locked_snapshot: SystemSnapshot) -> StillView:
    return StillView(locked_snapshot)
