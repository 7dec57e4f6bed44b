"""Which edge of a pulse marks the second."""

from enum import StrEnum

from ntp_usg.core.base.samples import Pulse
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict


class CaptureMode(StrEnum):
    """Edges that are captured (RFC 2783 section 3.3)."""

    ASSERT = "Assert"
    CLEAR = "Clear"
    BOTH = "Both"


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
