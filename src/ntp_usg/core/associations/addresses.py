"""Which address of a server's name is asked: each in turn until one serves; a new look-up when none does."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from ntp_usg.core.base.instants import MonoNs, nanoseconds

MAX_ADDRESSES: Final = 16
"""So many addresses of one name are remembered."""
MAX_REFUSALS: Final = 64
"""So many addresses that refused us are remembered; a pool's name may give ever new ones."""
FIRST_REST_NS: Final = nanoseconds(64.0)
"""An address that failed is not asked for so long while there is another; each further failure doubles this ..."""
LONGEST_REST_NS: Final = nanoseconds(4096.0)
"""... up to this. Who served for longer starts with the shortest rest again."""
LOOKUP_SPACING_NS: Final = nanoseconds(16.0)
"""Between two look-ups of one name: a burst of requests must not become a burst at the name server."""

Address = TypeVar("Address")


@dataclass(slots=True)
class _Record(Generic[Address]):
    address: Address
    failures: int = 0
    rests_until: int = 0
    chosen_at: int = 0


class AddressBook(Generic[Address]):
    """The addresses of one server's name, in the order of the look-up, and how each of them did."""

    def __init__(self) -> None:
        self._records: list[_Record[Address]] = []
        self._refused: deque[Address] = deque(maxlen=MAX_REFUSALS)
        self._current: _Record[Address] | None = None
        self._looked_up_at: MonoNs | None = None

    @property
    def current(self) -> Address | None:
        """The address that is asked now."""
        return self._current.address if self._current else None

    @property
    def refused(self) -> bool:
        """Whether each address that is known has refused us."""
        return bool(self._refused) and not self._records

    def wants_lookup(self, now: MonoNs) -> bool:
        """Whether the name should be looked up before the next request: no address is known that has not failed lately.

        Who says so and is told yes looks it up: the next time is only after LOOKUP_SPACING_NS.
        """
        if self._current or any(each.rests_until <= now for each in self._records):
            return False
        if self._looked_up_at is not None and now - self._looked_up_at < LOOKUP_SPACING_NS:
            return False
        self._looked_up_at = now
        return True

    def found(self, addresses: Sequence[Address]) -> None:
        """Take in what a look-up gave; addresses that stay keep their record, others are forgotten."""
        known = {each.address: each for each in self._records}
        fresh = [each for each in dict.fromkeys(addresses) if each not in self._refused]
        self._records = [known.get(each) or _Record(each) for each in fresh[:MAX_ADDRESSES]]

    def choose(self, now: MonoNs) -> Address | None:
        """The address to ask: the one in use, else the first that is rested, else the one that will be rested first."""
        if self._current is None and self._records:
            rested = (each for each in self._records if each.rests_until <= now)
            self._current = next(rested, None) or min(self._records, key=lambda each: each.rests_until)
            self._current.chosen_at = now
        return self.current

    def leave(self, now: MonoNs, *, for_ever: bool = False) -> bool:
        """Ask another address from now on, or at least after a new look-up; returns whether this is news to people."""
        left, self._current = self._current, None
        if left is None:
            return False
        if for_ever:
            self._refused.append(left.address)
            self._records = [each for each in self._records if each is not left]
            return True
        if now - left.chosen_at > LONGEST_REST_NS:
            left.failures = 0
        left.rests_until = now + min(FIRST_REST_NS << left.failures, LONGEST_REST_NS)
        left.failures = min(left.failures + 1, 16)
        return left.failures == 1 and len(self._records) > 1

    def forgive(self) -> None:
        """The network has changed: try all addresses again, but for those that refused us, and look the name up."""
        for each in self._records:
            each.failures = each.rests_until = 0
        self._looked_up_at = None
