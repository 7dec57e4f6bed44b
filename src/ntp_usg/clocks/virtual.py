"""The virtual clock: corrected time for those who are served, the host's clock left alone; needs no right at all."""

from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs
from ntp_usg.core.base.mapping import IDENTITY, ClockMapping
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.sysapi.timex import read_clocks, suspended_for


class VirtualClock:
    """A mapping that is applied to the host clock when time is served. Only this program moves it, so raw = host."""

    name = "virtual"

    def __init__(self) -> None:
        self._mapping = IDENTITY

    def read(self) -> tuple[HostNs, MonoNs]:
        """The host's wall and monotonic clocks, read together."""
        return read_clocks()

    def raw(self, reading: HostNs) -> RawNs:
        return RawNs(reading)

    def current(self) -> ClockMapping:
        return self._mapping

    def serving(self) -> ClockMapping:
        return self._mapping

    def steer(self, mapping: ClockMapping, *, step: bool) -> None:  # noqa: ARG002 (the mapping says it all)
        self._mapping = mapping

    def declare(
        self, *, leap: Leap, maximum_error: float, estimated_error: float, tai_offset: int | None = None
    ) -> None:
        """Nobody asks the kernel for this clock's quality."""

    def interference(self) -> str | None:
        """Nobody can steer it but us."""
        return None

    def suspended_for(self) -> float:
        """Seconds that the machine has slept since it was started: the wall clock went on meanwhile."""
        return suspended_for()

    def deadline(self) -> MonoNs | None:
        """A slew ends by itself: it is part of the mapping."""
        return None

    def timer(self, now: MonoNs) -> None:
        pass

    def close(self) -> None:
        pass
