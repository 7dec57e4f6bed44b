"""A clock that is steered by a mapping alone: the one beneath it, the host's or a simulated one, is left as it is."""

from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs
from ntp_usg.core.base.mapping import IDENTITY, ClockMapping
from ntp_usg.core.base.ports import SteeredClock
from ntp_usg.core.base.snapshots import Leap


class MappedClock(SteeredClock):
    """All but what is read beneath: `read` and `suspended_for`. Only this program moves the correction: raw = host."""

    name = "virtual"

    def __init__(self) -> None:
        self._mapping = IDENTITY

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self._mapping

    def serving(self) -> ClockMapping:
        return self._mapping.slewed

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:  # noqa: ARG002 (the mapping says it all)
        self._mapping = mapping

    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None:
        """Nobody asks the kernel for this clock's quality."""

    def interference(self) -> str | None:
        """Nobody can steer it but us."""
        return None

    def deadline(self) -> MonoNs | None:
        """A slew ends by itself: it is part of the mapping."""
        return None

    def timer(self, now: MonoNs) -> None:
        pass

    def close(self) -> None:
        pass
