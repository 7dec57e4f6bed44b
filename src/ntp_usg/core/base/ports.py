"""What `core/` asks of the world, as Protocols; the world outside the wall implements them."""

from typing import Protocol

from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs
from ntp_usg.core.base.mapping import ClockMapping


class Clock(Protocol):
    """The clock that is steered: the kernel's own, or a virtual one that leaves the host untouched."""

    @property
    def name(self) -> str:
        """`system` or `virtual`."""

    def read(self) -> tuple[HostNs, MonoNs]:
        """The host's wall and monotonic clocks, read together."""

    def raw(self, reading: HostNs) -> RawNs:
        """A host reading freed of our own corrections."""

    def current(self) -> ClockMapping:
        """The mapping raw -> disciplined that is in force: what the clock truly does, not what it was asked to do."""

    def serving(self) -> ClockMapping:
        """The mapping host -> disciplined that answers must apply."""

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:
        """Follow a new mapping raw -> disciplined.

        Raises ClockError where the kernel refuses.
        """
