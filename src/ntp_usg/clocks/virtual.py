"""The virtual clock: corrected time for those who are served, the host's clock left alone; needs no right at all."""

from ntp_usg.core.base.instants import HostNs, MonoNs
from ntp_usg.core.base.mapped_clock import MappedClock
from ntp_usg.sysapi.timex import read_clocks, suspended_for


class VirtualClock(MappedClock):
    """A mapping that is applied to the host clock when time is served."""

    def read(self) -> tuple[HostNs, MonoNs]:
        return read_clocks()

    def suspended_for(self) -> float:
        return suspended_for()
