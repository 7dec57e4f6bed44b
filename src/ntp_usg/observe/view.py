"""What observers may know of the daemon; the composition root supplies it."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from ntp_usg.core.base.instants import MonoNs, nanoseconds, seconds
from ntp_usg.core.base.snapshots import FastPathSnapshot, SystemSnapshot
from ntp_usg.core.base.verdicts import Outcome
from ntp_usg.core.server.clients import ClientRecord
from ntp_usg.core.server.listing import Question


class DaemonView(Protocol):
    """Read at every request; none of it may block for long."""

    @property
    def version(self) -> str:
        """Of ntp_usg, as `0.1.0`."""

    @property
    def listen(self) -> Sequence[str]:
        """The addresses that NTP is answered on, as `127.0.0.1:123`."""

    def needs_restart(self) -> Sequence[str]:
        """The settings of the files, as `server.listen_addr`, that a reload could not put in force."""

    @property
    def started_at(self) -> MonoNs: ...

    def now(self) -> MonoNs: ...

    def snapshot(self) -> SystemSnapshot:
        """The state of this moment."""

    def complaint(self) -> str:
        """Why requests wait for an answer at this moment; empty where they do not."""

    def verdicts(self) -> Mapping[str, int]:
        """How the requests ended, counted since the start by `outcome/reason`."""

    def clients(self) -> int:
        """How many clients the table holds."""

    def list_clients(self, question: Question, now: MonoNs) -> Sequence[ClientRecord]:
        """Some of them; takes so long where there are many that it is asked in a thread."""

    def fast_path(self) -> FastPathSnapshot | None:
        """Answering within the kernel; None where nobody asked for it."""

    def queries_per_second(self) -> float:
        """From a QueryMeter that is fed now and then, and whenever this is asked."""


class Moment:
    """A view as it is now, for a thread to look at; implements DaemonView itself."""

    def __init__(self, view: DaemonView) -> None:
        self.version, self.listen, self.started_at = view.version, view.listen, view.started_at
        self.list_clients = view.list_clients
        self._needs_restart, self._complaint = view.needs_restart(), view.complaint()
        self._now, self._snapshot, self._verdicts = view.now(), view.snapshot(), view.verdicts()
        self._clients, self._rate, self._fast_path = view.clients(), view.queries_per_second(), view.fast_path()

    def needs_restart(self) -> Sequence[str]:
        return self._needs_restart

    def complaint(self) -> str:
        return self._complaint

    def now(self) -> MonoNs:
        return self._now

    def snapshot(self) -> SystemSnapshot:
        return self._snapshot

    def verdicts(self) -> Mapping[str, int]:
        return self._verdicts

    def clients(self) -> int:
        return self._clients

    def fast_path(self) -> FastPathSnapshot | None:
        return self._fast_path

    def queries_per_second(self) -> float:
        return self._rate


def count_queries(verdicts: Mapping[str, int]) -> int:
    """All requests; what a worker handed up is counted where it was decided."""
    return sum(count for key, count in verdicts.items() if not key.startswith(f"{Outcome.HANDED_UP}/"))


WINDOW_NS, SPACING_NS = nanoseconds(5.0), nanoseconds(0.9)


class QueryMeter:
    """Queries per second, from the growing total: over the last few seconds, or since the latest reading before."""

    def __init__(self, readings: int = 6) -> None:
        self._readings: deque[tuple[MonoNs, int]] = deque(maxlen=readings)

    def feed(self, total: int, now: MonoNs) -> None:
        """Take a reading, unless the latest is as good as new."""
        readings = self._readings
        if readings and now - readings[-1][0] < SPACING_NS:
            return
        if readings and total < readings[-1][1]:
            readings.clear()  # the counter began again
        readings.append((now, total))
        while len(readings) > 2 and now - readings[1][0] >= WINDOW_NS:
            readings.popleft()

    def rate(self) -> float:
        """0 before the second reading."""
        if not self._readings:
            return 0.0
        (first_at, first), (last_at, last) = self._readings[0], self._readings[-1]
        return (last - first) / seconds(last_at - first_at) if last_at > first_at else 0.0
