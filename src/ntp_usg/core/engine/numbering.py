"""Which second a pulse begins: told by messages until that is certain, then counted, and always cross-checked."""

import math
from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from statistics import median, median_low

from ntp_usg.core.base.instants import NS_PER_SECOND, RawNs, WallNs, nanoseconds, nearest_second, seconds

TOLERANCE = 0.35
"""Messages of one receiver come within so many seconds of each other; what differs by more is news."""
EARLY = 0.002
"""A message cannot come before its second, but its stamp and the pulse's may be off by so much against each other."""
ONCE_IN = 1000.0
"""In one of so many starts, messages that would have shown the count to be wrong have not come yet."""
LATEST = 2.5
"""A message that is later than this is no message of the second that it names."""
STATED = 0.5
"""A stated latency tells one second from the next if it is right to so many seconds."""
WHOLE = 0.1
"""A receiver corrects itself by whole seconds; a line that falls behind does so by any time: to so many seconds."""
APART = 0.5
"""Of messages that come in faster succession, in seconds, one is held against the pulses."""
GLITCH_NS = 100_000_000
"""An edge so far from where the clock expects one is no pulse."""
STEADY = 1e-3
"""A pulse that follows on another one comes this close to whole seconds after it, in seconds per second."""
JITTER = 5e-3
"""... and so many seconds on top."""
LOST = 1.5
"""After so many seconds without a pulse that follows on, others may."""
AGREE = 4
DISPUTE = 10
"""So many messages in a row number pulses that have no number, and prove that the latency has changed."""
REMEMBERED = 512
"""So many messages are compared before the first number: more than the most scattered ones need."""
STRAYS = 3
"""So many messages in a row that differ from those before are news; fewer are ignored."""
IMPOSSIBLE = 3
"""So many of the latest messages came before their seconds: those are counted wrong."""
NEWEST = 6
"""So many messages must have followed those, because the signals may have jumped, which others notice by then."""


class Agreement(Enum):
    """What a message did to the numbering."""

    UNPAIRED = auto()
    AGREED = auto()
    NUMBERED = auto()
    DISPUTED = auto()
    DELAYED = auto()
    """The messages come at another time after their seconds from now on; the numbers stay."""
    DISPROVED = auto()
    """Messages come before their seconds, as these are counted: nobody can know a second before it begins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """A second or any other instant that a receiver named, and what is known of the message. Intervals in seconds."""

    second: WallNs
    received_at: RawNs
    latency: float = 0.0
    """How late its messages are stated to be; 0 where nobody has said."""
    trusted: bool = True
    """Only a trusted receiver may number pulses."""
    renamed: bool = True
    """Whether the receiver has jumped from one second to another: messages that only come late follow on each other."""
    margin: float = 0.0
    """How far the pulses' stamps may be off."""

    @property
    def told_ns(self) -> int:
        """True minus raw time, less the message's latency."""
        return self.second - self.received_at

    def possible(self, latency: float) -> bool:
        """Whether a message of this receiver can be so late."""
        if not self.latency:
            return -EARLY <= latency < LATEST
        return min(0.0, self.latency) - STATED <= latency < max(LATEST, self.latency + STATED)


@dataclass(frozen=True, slots=True)
class Pairing:
    """A message held against the pulses; `latency` is its delay in seconds, where they agree."""

    agreement: Agreement
    latency: float = 0.0
    ahead: int | None = None
    """By how many seconds the names are ahead of the count; None where that cannot be told."""


@dataclass(slots=True)
class _Teller:
    """One receiver: true minus raw time as its latest messages put it, less their latency; its latencies."""

    told: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    latencies: deque[float] = field(default_factory=lambda: deque(maxlen=16))
    strays: int = 0
    told_at: RawNs | None = None

    def skips(self, received_at: RawNs) -> bool:
        """Whether a message comes too soon after the one before to say anything new."""
        if self.told_at is not None and 0 <= seconds(received_at - self.told_at) < APART:
            return True
        self.told_at = received_at
        return False

    def tell(self, told_ns: int) -> None:
        """One more message that does not agree with the count, or that comes before there is one."""
        if self.told and abs(seconds(told_ns - max(self.told))) > TOLERANCE:
            self.strays += 1
            if self.strays < STRAYS:
                return
            self.told.clear()
        self.strays = 0
        self.told.append(told_ns)

    def usual(self, stated: float) -> float | None:
        """The latency to expect; None where neither a pulse nor a person has told it."""
        return median(self.latencies) if self.latencies else stated or None

    def agree(self, latency: float) -> None:
        self.told.clear()
        self.strays = 0
        self.latencies.append(latency)

    def disproves(self, naming: "Naming") -> bool:
        """Whether messages come before their seconds, and by more than stamps are off."""
        settled = list(self.latencies)[:-NEWEST]
        return sum(not naming.possible(each + naming.margin) for each in settled) >= IMPOSSIBLE

    def is_certain(self, least: float) -> bool:
        """Whether none will come sooner by as much as the soonest, which came `least` seconds after its second.

        Delays that begin sharply and end in a tail are exponential at worst: n times the least one over the mean of
        what the others are longer has then an F distribution with 2 and 2(n-1) degrees of freedom.
        """
        soonest_ns, others = max(self.told), len(self.told) - 1
        longer = math.fsum(seconds(soonest_ns - each) for each in self.told) / others
        quantile = others * (math.pow(ONCE_IN, 1 / others) - 1)
        return len(self.told) * (least + EARLY) >= quantile * longer


class _Beat:
    """The pulses that follow on each other, without glitches, and how far the raw clock has run off against them.

    With that messages of different minutes can be compared.
    """

    def __init__(self) -> None:
        self.edge: RawNs | None = None
        self.drift_ns = 0
        self._rival: RawNs | None = None

    def see(self, edge_at: RawNs) -> None:
        off_ns = _follows(self.edge, edge_at)
        if self.edge is None or off_ns is not None:
            self.edge = edge_at
            self.drift_ns += off_ns or 0
            return
        if _follows(self._rival, edge_at) is not None and seconds(edge_at - self.edge) > LOST:
            self.edge = edge_at
        self._rival = edge_at


def _follows(before: RawNs | None, edge_at: RawNs) -> int | None:
    """How far an edge is off whole seconds after the one before; None where that is too far."""
    if before is None or (gap := seconds(edge_at - before)) <= APART:
        return None
    off_ns = edge_at - before - nearest_second(edge_at - before)
    return off_ns if abs(seconds(off_ns)) < min(JITTER + STEADY * gap, WHOLE) else None


class Numbering:
    """Pairs messages with pulses. Serial lines can fall behind, so that a single message proves nothing.

    All that is known of a message is that its second had begun: of several that agree with each other, the one that
    came the soonest tells the pulse. Once pulses are counted, the latency of a message is a plain difference, which
    may pass a second without meaning another pulse.
    """

    def __init__(self) -> None:
        self._beat = _Beat()
        self._offset_ns: int | None = None
        self._tellers: dict[str, _Teller] = {}

    def edge(self, edge_at: RawNs, predicted_ns: int | None) -> int | None:
        """True time minus raw time at a pulse, in nanoseconds; None as long as the second is not known.

        `predicted_ns` is the same difference as the clock or the history expects it, where they know.
        """
        before, expected = self._offset_ns, predicted_ns if predicted_ns is not None else self._offset_ns
        self._beat.see(edge_at)
        if expected is None:
            return None
        offset_ns = nearest_second(edge_at + expected) - edge_at
        if predicted_ns is None or abs(offset_ns - expected) < GLITCH_NS:
            self._offset_ns = offset_ns
        if before is not None and abs(offset_ns - before) > NS_PER_SECOND // 2:
            self._tellers.clear()  # somebody knew better, and how late the messages are has to be found again
        return offset_ns

    def shift(self, offset_ns: int) -> None:
        """Go on counting after a leap second."""
        if self._offset_ns is not None:
            self._offset_ns += offset_ns
        for teller in self._tellers.values():
            teller.told.clear()

    def message(self, name: str, naming: Naming) -> Pairing:
        """Hold a message of the receiver `name` against the pulses."""
        teller = self._tellers.setdefault(name, _Teller())
        skipped = teller.skips(naming.received_at)
        if self._offset_ns is None:
            usable = naming.trusted and not skipped
            return self._number(teller, naming) if usable else Pairing(Agreement.UNPAIRED)
        measured = self._latency(self._offset_ns, naming.told_ns)
        usual = teller.usual(naming.latency)
        if naming.possible(measured) if usual is None else abs(measured - usual) < TOLERANCE:
            if not skipped:
                teller.agree(measured)
            return Pairing(Agreement.DISPROVED if teller.disproves(naming) else Agreement.AGREED, measured, 0)
        if not skipped:
            teller.tell(naming.told_ns + self._beat.drift_ns)
        return self._dispute(teller, naming, usual)

    def _latency(self, offset_ns: int, told_ns: int) -> float:
        """By the latest pulse that is no glitch, in seconds."""
        edge = self._beat.edge
        if edge is not None:
            offset_ns = nearest_second(edge + offset_ns) - edge
        return seconds(offset_ns - told_ns)

    def _number(self, teller: _Teller, naming: Naming) -> Pairing:
        """The first numbers, when enough messages in a row have named them."""
        teller.tell(naming.told_ns + self._beat.drift_ns)
        edge = self._beat.edge
        if len(teller.told) < AGREE or edge is None:
            return Pairing(Agreement.UNPAIRED)
        offset_ns, least = _count(edge, max(teller.told) - self._beat.drift_ns, naming.latency)
        if not naming.latency and not teller.is_certain(least):
            return Pairing(Agreement.UNPAIRED)  # one may come still sooner, and before this pulse
        self._offset_ns = offset_ns
        self._tellers.clear()
        return Pairing(Agreement.NUMBERED, least)

    def _dispute(self, teller: _Teller, naming: Naming, usual: float | None) -> Pairing:
        """The messages are later or sooner than they were, or name other seconds than were counted."""
        assert self._offset_ns is not None
        told_ns = median_low(list(teller.told)[-DISPUTE:]) - self._beat.drift_ns if teller.told else naming.told_ns
        measured = self._latency(self._offset_ns, told_ns)
        change = measured - (usual or 0.0)
        if naming.possible(measured) and (abs(change - round(change)) > WHOLE or not naming.renamed):
            if len(teller.told) < DISPUTE:
                return Pairing(Agreement.DISPUTED)
            teller.latencies.clear()
            teller.agree(measured)
            return Pairing(Agreement.DELAYED, measured)
        # Where nobody knows the latency, the message came within the second that it names.
        by_floor = -math.floor(measured + EARLY)
        return Pairing(Agreement.DISPUTED, ahead=by_floor if usual is None else -round(change) or by_floor)


def _count(edge: RawNs, soonest_ns: int, latency: float) -> tuple[int, float]:
    """True minus raw time at an edge, and the latency of the soonest message, which came within its own second."""
    told = edge + soonest_ns  # the pulse's second, less the message's latency
    second = nearest_second(told + nanoseconds(latency)) if latency else _next_second(told - nanoseconds(EARLY))
    return second - edge, seconds(second - told)


def _next_second(instant_ns: int) -> int:
    return -(-instant_ns // NS_PER_SECOND) * NS_PER_SECOND
