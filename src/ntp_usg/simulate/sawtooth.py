"""Why a receiver's pulses are not quite on the second: they can only fall on a tick of its oscillator."""

from dataclasses import dataclass

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs

_PS_PER_NS = 1_000


@dataclass(frozen=True, slots=True)
class Sawtooth:
    """Each pulse falls on the nearest tick of an oscillator that runs free, and so slips past the seconds."""

    half_width_ns: float
    """Half a tick, so the most that a pulse can miss its second by."""
    slip_ps: int = 14_142
    """How far the ticks move past the seconds in a second."""

    def error_ps(self, second: WallNs) -> int:
        """By how much the pulse of a second comes late; negative when early. The same whoever asks, and when."""
        tick = round(2 * self.half_width_ns * _PS_PER_NS)
        return (second // NS_PER_SECOND * self.slip_ps) % tick - tick // 2 if tick else 0
