"""The edges of a pulse line, and which of them marks the second."""

from enum import StrEnum
from typing import NamedTuple

from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict


class CaptureMode(StrEnum):
    """Edges that are captured (RFC 2783 section 3.3)."""

    ASSERT = "Assert"
    CLEAR = "Clear"
    BOTH = "Both"


class Edges(NamedTuple):
    """The latest edge of either kind. A sequence counts edges of its kind; 0 = none has come yet."""

    asserted: Pulse = Pulse(HostNs(0), 0)
    cleared: Pulse = Pulse(HostNs(0), 0)

    def then(self, at: HostNs, *, asserts: bool = False, clears: bool = False, uncertainty: float = 0.0) -> "Edges":
        """One more edge, or, of a pulse too short to see its end, one of each kind; `uncertainty` in seconds."""
        return Edges(
            Pulse(at, self.asserted.sequence + 1, uncertainty) if asserts else self.asserted,
            Pulse(at, self.cleared.sequence + 1, uncertainty) if clears else self.cleared,
        )


class EdgeCounter:
    """Makes edges of the changes of a modem line, of which only the level afterwards is known."""

    def __init__(self, *, active: bool) -> None:
        self._active = active
        # A line that is active has asserted once, nobody knows when: its end does not mark a second (see EdgePicker).
        self.edges = Edges(Pulse(HostNs(0), 1)) if active else Edges()

    def changed(self, at: HostNs, *, active: bool) -> Edges:
        """The line has changed; where its level is the old one, it has done so twice, for a short pulse."""
        short, self._active = active == self._active, active
        self.edges = self.edges.then(at, asserts=active or short, clears=not active or short)
        return self.edges


class EdgePicker:
    """Takes a pulse line's records, each the latest edges of both kinds, and picks one edge a pulse.

    It starts from the record that the line shows when it is opened: those edges may be of any age.
    """

    def __init__(self, mode: CaptureMode, assert_edge: Pulse, clear_edge: Pulse) -> None:
        self._mode = mode
        self._last = assert_edge.sequence, clear_edge.sequence
        self._asserts = assert_edge.sequence != 0

    def receive(self, assert_edge: Pulse, clear_edge: Pulse) -> Pulse | Verdict | None:
        """A new pulse, why a record is none, or None for an edge that marks no second."""
        # Sequences are compared for difference only: they wrap, and start again with the device.
        asserted, cleared = assert_edge.sequence != self._last[0], clear_edge.sequence != self._last[1]
        self._last = assert_edge.sequence, clear_edge.sequence
        self._asserts = self._asserts or asserted
        if not asserted and not cleared:
            return Verdict(Outcome.REJECTED, Reason.REPEATED)
        if self._uses_clear():
            return clear_edge if cleared else None
        return assert_edge if asserted else None

    def _uses_clear(self) -> bool:
        # With both captured, a pulse still marks one second: assert is the edge that is on time, clear only its width
        # later. So clear counts on a line that has never asserted, but never stands in for an assert edge that is late.
        return self._mode is CaptureMode.CLEAR or (self._mode is CaptureMode.BOTH and not self._asserts)
