"""Which second a pulse begins: told by messages until that is certain, then counted, and always cross-checked."""

from collections import deque
from dataclasses import dataclass
from enum import Enum, auto

from ntp_usg.core.base.instants import NS_PER_SECOND, RawNs, WallNs, nearest_second, seconds

TOLERANCE_NS = 300_000_000
"""Two ways to number a second agree if they differ by less; any value well under half a second would do."""


class Agreement(Enum):
    """What a message did to the numbering."""

    UNPAIRED = auto()
    AGREED = auto()
    NUMBERED = auto()
    DISPUTED = auto()
    RENUMBERED = auto()


@dataclass(frozen=True, slots=True)
class Pairing:
    """A message held against the pulse before it; `latency` is the message's delay in seconds, where they agree."""

    agreement: Agreement
    latency: float = 0.0


class Numbering:
    """Pairs messages with pulses. Serial lines can fall behind, so that a single message proves nothing."""

    AGREE = 3
    DISPUTE = 10

    def __init__(self) -> None:
        self._edges: deque[RawNs] = deque(maxlen=4)
        self._offset_ns: int | None = None
        self._candidate_ns = 0
        self._repeats = 0

    def edge(self, edge_at: RawNs, predicted_ns: int | None) -> int | None:
        """True time minus raw time at a pulse, in nanoseconds; None as long as the second is not known.

        `predicted_ns` is the same difference as the clock or the history expects it, where they know.
        """
        self._edges.append(edge_at)
        expected = predicted_ns if predicted_ns is not None else self._offset_ns
        if expected is None:
            return None
        self._offset_ns = nearest_second(edge_at + expected) - edge_at
        return self._offset_ns

    def shift(self, offset_ns: int) -> None:
        """Go on counting after a leap second."""
        if self._offset_ns is not None:
            self._offset_ns += offset_ns

    def message(self, second: WallNs, received_at: RawNs) -> Pairing:
        """Hold a message against the last pulse before it."""
        edge = next((edge for edge in reversed(self._edges) if 0 <= received_at - edge < NS_PER_SECOND), None)
        if edge is None:
            return Pairing(Agreement.UNPAIRED)
        latency = seconds(received_at - edge)
        offset_ns = second - edge
        if self._offset_ns is not None and abs(offset_ns - self._offset_ns) < TOLERANCE_NS:
            self._repeats = 0
            return Pairing(Agreement.AGREED, latency)
        self._repeats = self._repeats + 1 if abs(offset_ns - self._candidate_ns) < TOLERANCE_NS else 1
        self._candidate_ns = offset_ns
        if self._repeats < (self.AGREE if self._offset_ns is None else self.DISPUTE):
            return Pairing(Agreement.UNPAIRED if self._offset_ns is None else Agreement.DISPUTED)
        agreement = Agreement.NUMBERED if self._offset_ns is None else Agreement.RENUMBERED
        self._offset_ns = offset_ns
        self._repeats = 0
        return Pairing(agreement, latency)
