"""What the daemon shows of itself: the latest snapshot, and the counts of the answering service."""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ntp_usg import __version__
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import FastPathSnapshot, ServingState, SystemSnapshot
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.engine.engine import Engine
from ntp_usg.core.server.clients import ClientRecord
from ntp_usg.core.server.listing import Order, Question, list_clients
from ntp_usg.core.server.mru import Occupancy
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.answering import AnsweringService
from ntp_usg.observe.view import QueryMeter, count_queries


class DaemonState:
    """Implements observe.view.DaemonView."""

    version = __version__

    def __init__(self, engine: Engine, listen: Sequence[str], needs_restart: Callable[[], Sequence[str]]) -> None:
        self.listen = listen
        self.needs_restart = needs_restart
        self.started_at = self.now()
        self.policy = ServerPolicy()
        self.places = 0
        """For clients, in all tables."""
        self.fast_path: Callable[[], FastPathSnapshot | None] = lambda: None
        self._service: AnsweringService | None = None
        self._engine = engine
        self._meter = QueryMeter()
        self._decided_here: Counter[str] = Counter()
        self._most_clients = 0

    def now(self) -> MonoNs:
        return MonoNs(time.monotonic_ns())

    def attach(self, service: AnsweringService, policy: ServerPolicy) -> None:
        """From now on answer by what is published, and count what is answered; set `policy` again when it changes."""
        self._service, self.policy = service, policy
        self.publish(self._engine.serving())

    def publish(self, serving: ServingState) -> None:
        """Answer by this state of the engine from now on."""
        if self._service is not None:
            self._service.publish(serving)
            self._meter.feed(count_queries(self.verdicts()), self.now())
            self._most_clients = max(self._most_clients, self.clients())

    def snapshot(self) -> SystemSnapshot:
        return self._engine.snapshot()

    def judge(self, verdict: Verdict) -> None:
        """Count a request that the control process decided on."""
        self._decided_here[f"{verdict.outcome}/{verdict.reason}"] += 1

    def complaint(self) -> str:
        return "" if self._service is None else self._service.complaint()

    def verdicts(self) -> Mapping[str, int]:
        answered = Counter({} if self._service is None else self._service.counters())
        return answered + self._decided_here

    def list_clients(self, question: Question, now: MonoNs) -> Sequence[ClientRecord]:
        return [] if self._service is None else list_clients(self._service.client_tables(), self.policy, question, now)

    def occupancy(self, now: MonoNs) -> Occupancy:
        oldest = self.list_clients(Question(order=Order.OLDEST, count=1), now)
        clients = self.clients()
        most = max(self._most_clients, clients)
        return Occupancy(clients, most, self.places, oldest[0].last_seen if oldest else None)

    def clients(self) -> int:
        return 0 if self._service is None else self._service.clients()

    def queries_per_second(self) -> float:
        self._meter.feed(count_queries(self.verdicts()), self.now())
        return self._meter.rate()
