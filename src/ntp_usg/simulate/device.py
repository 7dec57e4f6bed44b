"""What speaks at the near end of the line: the protocol of one kind of receiver."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from ntp_usg.core.base.instants import WallNs
from ntp_usg.simulate.meinberg import FORMATS
from ntp_usg.simulate.oncore import Oncore
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.tsip import Thunderbolt, build_palisade_burst
from ntp_usg.simulate.ubx import build_ubx_burst
from ntp_usg.simulate.ubx_receiver import MODELS, UbxReceiver


class Device(Protocol):
    """Bytes only; when they are said, and how fast, is the line's affair. It may remember what it was told."""

    def say(self, second: WallNs, sky: Sky) -> bytes:
        """All of one second, that has just begun."""
        ...

    def hear(self, data: bytes) -> bytes:
        """The answer to what the host has written, in pieces of any size."""
        ...


@dataclass(frozen=True, slots=True)
class Talker:
    """A device that does not listen."""

    say: Callable[[WallNs, Sky], bytes]

    def hear(self, data: bytes) -> bytes:  # noqa: ARG002 - it does not listen
        return b""


def _talker(say: Callable[[WallNs, Sky], bytes]) -> Callable[[Sawtooth], Device]:
    return lambda _: Talker(say)


DEVICES: dict[str, Callable[[Sawtooth], Device]] = {
    "nmea": _talker(build_burst),
    "ubx": _talker(build_ubx_burst),
    **{f"ublox{name}": partial(UbxReceiver, model) for name, model in MODELS.items()},
    **{name: _talker(say) for name, say in FORMATS.items()},
    "tsip": lambda _: Thunderbolt(),
    "palisade": _talker(build_palisade_burst),
    "oncore": Oncore,
    "oncore-8": partial(Oncore, channels=8),
    "both": _talker(lambda second, sky: build_ubx_burst(second, sky) + build_burst(second, sky)),
}
"""By the name of the protocol; each is told what its pulses miss, so that it can say so."""
