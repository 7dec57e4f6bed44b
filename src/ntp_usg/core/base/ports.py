"""What `core/` asks of the world, as Protocols; the world outside the wall implements them."""

from typing import Protocol

from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap


class Clock(Protocol):
    """A clock as the engine sees it: it reads and asks to steer, by an action, but never steers itself."""

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


class SteeredClock(Clock, Protocol):
    """The clock that is steered: the kernel's own, or a virtual one that leaves the host untouched."""

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:
        """Follow a new mapping raw -> disciplined.

        Raises ClockError where the kernel refuses.
        """

    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None:
        """Say how good the clock is (seconds) to whoever asks the kernel, and how far TAI is ahead where that is known.

        INSERT and DELETE make the system clock leap at the coming midnight, UTC: only on the day before it.
        """

    def interference(self) -> str | None:
        """What another program does to the clock, in words; None where nothing can be seen."""

    def suspended_for(self) -> float:
        """Seconds that the machine has slept since it was started."""

    def deadline(self) -> MonoNs | None:
        """When `timer` wants to be called, to end a slew."""

    def timer(self, now: MonoNs) -> None:
        """Do what was due at the deadline."""

    def close(self) -> None:
        """Leave the clock running at its last good frequency."""
