"""Which second a pulse begins: told by messages until that is certain, then counted, and always cross-checked."""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from statistics import median

from ntp_usg.core.base.instants import NS_PER_SECOND, RawNs, WallNs, nanoseconds, nearest_second, seconds

TOLERANCE = 0.35
"""Messages of one receiver come within so many seconds of each other; what differs by more is news."""
EARLY = 0.002
"""A message cannot come before its second, but its stamp and the pulse's may be off by so much against each other."""
SPILT = 0.06
"""Messages that seem to come so soon may belong to the pulse before: more of them must show that none came sooner."""
LATEST = 2.5
"""A message that is later than this is no message of the second that it names."""
WHOLE = 0.1
"""A receiver corrects itself by whole seconds; a line that falls behind does so by any time: to so many seconds."""
GLITCH_NS = 100_000_000
"""An edge so far from where the clock expects one is no pulse."""
AGREE = 4
DISPUTE = 10
"""So many messages in a row number pulses that have no number, and those that have another one."""


class Agreement(Enum):
    """What a message did to the numbering."""

    UNPAIRED = auto()
    AGREED = auto()
    NUMBERED = auto()
    DISPUTED = auto()
    DELAYED = auto()
    """The messages come at another time after their seconds from now on; the numbers stay."""
    RENUMBERED = auto()


@dataclass(frozen=True, slots=True)
class Pairing:
    """A message held against the pulses; `latency` is the message's delay in seconds, where they agree."""

    agreement: Agreement
    latency: float = 0.0


@dataclass(slots=True)
class _Teller:
    """One receiver: true minus raw time as its latest messages in a row put it, less their latency; its latencies."""

    told: deque[int] = field(default_factory=lambda: deque(maxlen=DISPUTE))
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=16))

    def tell(self, told_ns: int) -> int:
        """How many messages in a row say the same now."""
        if self.told and abs(seconds(told_ns - self.told[-1])) > TOLERANCE:
            self.told.clear()
        self.told.append(told_ns)
        return len(self.told)

    def agree(self, latency: float) -> None:
        self.told.clear()
        self.latencies.append(latency)


class Numbering:
    """Pairs messages with pulses. Serial lines can fall behind, so that a single message proves nothing.

    All that is known of a message is that its second had begun: of several that agree with each other, the one that
    came the soonest tells the pulse. Once pulses are counted, the latency of a message is a plain difference, which
    may pass a second without meaning another pulse.
    """

    def __init__(self) -> None:
        self._edge: RawNs | None = None
        self._offset_ns: int | None = None
        self._tellers: dict[str, _Teller] = {}

    def edge(self, edge_at: RawNs, predicted_ns: int | None) -> int | None:
        """True time minus raw time at a pulse, in nanoseconds; None as long as the second is not known.

        `predicted_ns` is the same difference as the clock or the history expects it, where they know.
        """
        before, expected = self._offset_ns, predicted_ns if predicted_ns is not None else self._offset_ns
        self._edge = edge_at
        if expected is None:
            return None
        offset_ns = nearest_second(edge_at + expected) - edge_at
        if predicted_ns is None or abs(offset_ns - expected) < GLITCH_NS:
            self._offset_ns = offset_ns
        if before is not None and abs(offset_ns - before) > NS_PER_SECOND // 2:
            self._tellers.clear()  # somebody knew better, and how late the messages are has to be found anew
        return offset_ns

    def shift(self, offset_ns: int) -> None:
        """Go on counting after a leap second."""
        if self._offset_ns is not None:
            self._offset_ns += offset_ns
        for teller in self._tellers.values():
            teller.told.clear()

    def message(
        self, name: str, second: WallNs, received_at: RawNs, *, latency: float = 0.0, trusted: bool = True
    ) -> Pairing:
        """Hold a message of the receiver `name` against the pulses; only a trusted one may renumber them.

        `latency` is how late its messages are said to come, in seconds; 0 where nobody has said.
        """
        teller = self._tellers.setdefault(name, _Teller())
        told_ns = second - received_at
        if self._offset_ns is None:
            return self._number(teller, told_ns, latency) if trusted else Pairing(Agreement.UNPAIRED)
        measured = seconds(self._offset_ns - told_ns)
        usual = median(teller.latencies) if teller.latencies else None
        if -EARLY <= measured < LATEST if usual is None else abs(measured - usual) < TOLERANCE:
            teller.agree(measured)
            return Pairing(Agreement.AGREED, measured)
        if teller.tell(told_ns) < DISPUTE:
            return Pairing(Agreement.DISPUTED)
        return self._settle(teller, measured, usual, latency, trusted=trusted)

    def _number(self, teller: _Teller, told_ns: int, latency: float) -> Pairing:
        """The first numbers, when enough messages in a row have named them."""
        count = teller.tell(told_ns)
        if count < AGREE or self._edge is None:
            return Pairing(Agreement.UNPAIRED)
        offset_ns, least = self._count(teller, self._edge, latency)
        if least < SPILT and not latency and count < DISPUTE:
            return Pairing(Agreement.UNPAIRED)
        return self._adopt(Agreement.NUMBERED, offset_ns, least)

    def _settle(
        self, teller: _Teller, measured: float, usual: float | None, latency: float, *, trusted: bool
    ) -> Pairing:
        """A dispute that lasts: the messages are later or sooner than they were, or the numbers are wrong."""
        change = measured - (usual or 0.0)
        if -EARLY <= measured < LATEST and abs(change - round(change)) > WHOLE:
            teller.latencies.clear()
            teller.agree(measured)
            return Pairing(Agreement.DELAYED, measured)
        if not trusted or self._edge is None:
            return Pairing(Agreement.DISPUTED)
        return self._adopt(Agreement.RENUMBERED, *self._count(teller, self._edge, latency))

    def _adopt(self, agreement: Agreement, offset_ns: int, latency: float) -> Pairing:
        self._offset_ns = offset_ns
        self._tellers.clear()
        return Pairing(agreement, latency)

    @staticmethod
    def _count(teller: _Teller, edge: RawNs, latency: float) -> tuple[int, float]:
        """True minus raw time at an edge, and the latency of the soonest message, which came within its own second."""
        soonest_ns = max(teller.told)
        told = edge + soonest_ns  # the pulse's second, less the message's latency
        second = nearest_second(told + nanoseconds(latency)) if latency else _next_second(told - nanoseconds(EARLY))
        return second - edge, seconds(second - edge - soonest_ns)


def _next_second(instant_ns: int) -> int:
    return -(-instant_ns // NS_PER_SECOND) * NS_PER_SECOND
