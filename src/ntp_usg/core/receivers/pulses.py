"""The edges of a pulse line, and which of them marks the second."""

from dataclasses import replace
from enum import StrEnum
from typing import NamedTuple

from ntp_usg.core.base.instants import HostNs, seconds
from ntp_usg.core.base.samples import Pulse, PulseEnd
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict

EVEN = 0.05
"""Levels that last for half of the time, to this share of it, do not tell which of them is the pulse."""
_OPPOSITE = {PulseEnd.BEGIN: PulseEnd.END, PulseEnd.END: PulseEnd.BEGIN}


class CaptureMode(StrEnum):
    """The edge that marks the second (RFC 2783 section 3.3); of BOTH the one that begins the pulse."""

    ASSERT = "Assert"
    CLEAR = "Clear"
    BOTH = "Both"


class Edges(NamedTuple):
    """The latest edge of either kind. A sequence counts edges of its kind; 0 = none has come yet."""

    asserted: Pulse = Pulse(HostNs(0), 0)
    cleared: Pulse = Pulse(HostNs(0), 0)

    def then(self, edge: Pulse, *, asserts: bool = False, clears: bool = False) -> "Edges":
        """One more edge, which is counted here, or, of a pulse too short to see its end, one of each kind."""
        return Edges(
            replace(edge, sequence=self.asserted.sequence + 1) if asserts else self.asserted,
            replace(edge, sequence=self.cleared.sequence + 1) if clears else self.cleared,
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
        self.edges = self.edges.then(Pulse(at, 0), asserts=active or short, clears=not active or short)
        return self.edges


class EdgePicker:
    """Takes a pulse line's records, each the latest edges of both kinds, and picks one edge a pulse.

    It starts from the record that the line shows when it is opened: those edges may be of any age.
    """

    def __init__(
        self, mode: CaptureMode, assert_edge: Pulse, clear_edge: Pulse, *, period: float = 1.0, long_pulse: bool = False
    ) -> None:
        """`period` is in seconds; a `long_pulse` lasts for more than half of it."""
        self._mode = mode
        self._last = Edges(assert_edge, clear_edge)
        self._period = period
        self._long_pulse = long_pulse
        self._asserts = assert_edge.sequence != 0
        self._begins_with_clear = False

    def receive(self, assert_edge: Pulse, clear_edge: Pulse) -> Pulse | Verdict | None:
        """A new pulse, why a record is none, or None for an edge that marks no second."""
        # Sequences are compared for difference only: they wrap, and start again with the device.
        before, self._last = self._last, Edges(assert_edge, clear_edge)
        asserted = assert_edge.sequence != before.asserted.sequence
        cleared = clear_edge.sequence != before.cleared.sequence
        self._asserts = self._asserts or asserted
        if not asserted and not cleared:
            return Verdict(Outcome.REJECTED, Reason.REPEATED)
        if asserted:
            assert_edge = self._see_end(assert_edge, clear_edge, before.cleared)
            self._learn(assert_edge.end, clear=False)
        if cleared:
            clear_edge = self._see_end(clear_edge, self._last.asserted, before.asserted)
            self._learn(clear_edge.end, clear=True)
        if self._uses_clear():
            return clear_edge if cleared else None
        return assert_edge if asserted else None

    def _uses_clear(self) -> bool:
        # A pulse marks one second, though both of its edges are captured: the edge that begins it is on time, the other
        # one comes later by the width of the pulse, and never stands in for an edge that is late.
        if self._mode is not CaptureMode.BOTH:
            return self._mode is CaptureMode.CLEAR
        return self._begins_with_clear or not self._asserts

    def _learn(self, end: PulseEnd, *, clear: bool) -> None:
        if end in _OPPOSITE:
            self._begins_with_clear = clear is (end is PulseEnd.BEGIN)

    def _see_end(self, edge: Pulse, *others: Pulse) -> Pulse:
        """The edge with the end that it is, by how long ago the latest edge of the other kind came."""
        earlier = [other.edge_at for other in others if other.sequence and other.edge_at < edge.edge_at]
        share = seconds(edge.edge_at - max(earlier)) / self._period if earlier else 0.0
        end = edge.end
        if 0 < share < 1:
            end = PulseEnd.EVEN if abs(share - 0.5) < EVEN else PulseEnd.BEGIN if share > 0.5 else PulseEnd.END
        return replace(edge, end=_OPPOSITE.get(end, end) if self._long_pulse else end)
