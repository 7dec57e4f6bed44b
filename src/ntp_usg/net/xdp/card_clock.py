"""A card's clock as a straight line to the kernel's, by which the program reads the stamps that the card makes."""

import struct
from collections import deque
from contextlib import ExitStack, closing

from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.core.receivers.phc import CrossStamp, tightest
from ntp_usg.net.xdp.state import LIFETIME_NS, check_words
from ntp_usg.sysapi.phc import PhcDevice, ReceiveStamps, find_clock

_WORDS = struct.Struct("<5Q")
CARD_BYTES = _WORDS.size
_DRIFT_BITS = 40
_MASK = 2**64 - 1

_SAMPLES = 5
_WIDEST_NS = 100_000
"""A reading that took longer tells too little of when it was."""
_SHORTEST_NS, _LONGEST_NS = NS_PER_SECOND // 5, 10 * NS_PER_SECOND
"""Two readings that lie closer tell less of the rate than they blur it; farther apart, much may have happened."""
_REMEMBERED = 4
_MOST_DRIFT = 1e-3
"""No two clocks that only run free part faster."""
_MOST_WANDER = 2e-5
"""A clock that leaves its line faster is being set, or the kernel's is: the line begins again."""


class CardLine:
    """What the latest comparisons of a card's clock with the host's say; they should be about a second apart."""

    def __init__(self) -> None:
        self._points: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        """The same instants by the card and by the kernel's TAI."""

    def compare(self, stamp: CrossStamp, tai_minus_host_ns: int) -> bytes | None:
        """Learn of one more: what the program should know from now on, `union card` of answer.c; None for no news."""
        point = stamp.card_ns, stamp.host + tai_minus_host_ns
        if stamp.width_ns > _WIDEST_NS or (self._points and 0 <= point[0] - self._points[-1][0] < _SHORTEST_NS):
            return None
        if self._points and not self._goes_on(point, stamp.width_ns):
            self._points.clear()
        self._points.append(point)
        words = [*point, self._drift(), LIFETIME_NS if len(self._points) > 1 else 0]
        unsigned = [word & _MASK for word in words]
        return _WORDS.pack(*unsigned, check_words(unsigned))

    def _drift(self) -> int:
        """By how much faster the kernel's clock has run than the card's, in 2**-40."""
        (card, tai), (card_now, tai_now) = self._points[0], self._points[-1]
        elapsed = card_now - card
        return (tai_now - tai - elapsed << _DRIFT_BITS) // elapsed if elapsed else 0

    def _goes_on(self, point: tuple[int, int], width_ns: int) -> bool:
        """Whether a reading is near enough to what those before it lead to."""
        card, tai = self._points[-1]
        elapsed = point[0] - card
        if not 0 < elapsed <= _LONGEST_NS:
            return False
        expected = tai + elapsed + (elapsed * self._drift() >> _DRIFT_BITS)
        most = _MOST_WANDER if len(self._points) > 1 else _MOST_DRIFT
        return abs(point[1] - expected) <= width_ns + elapsed * most


class CardClock:
    """The clock of an interface's card, which stamps what it receives for as long as this is open."""

    def __init__(self, interface: str) -> None:
        """Raises DeviceError with the reason where this card does not, WireError where what it says makes no sense."""
        with ExitStack() as parts:
            self._device = parts.enter_context(closing(PhcDevice(find_clock(interface))))
            parts.enter_context(closing(ReceiveStamps(interface)))
            self._line = CardLine()
            self._parts = parts.pop_all()

    def compare(self, tai_minus_host_ns: int) -> bytes | None:
        """Look at it beside the host's clock; see `CardLine.compare`. Raises DeviceError and WireError."""
        return self._line.compare(tightest(self._device.compare(_SAMPLES)), tai_minus_host_ns)

    def close(self) -> None:
        """Let the card be as it was before."""
        self._parts.close()
