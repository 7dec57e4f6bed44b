"""The clock that is steered: the kernel's own, or a virtual one that leaves the host untouched."""

from ntp_usg.clocks.choice import choose_clock

__all__ = ["choose_clock"]
