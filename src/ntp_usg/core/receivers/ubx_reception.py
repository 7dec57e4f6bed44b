"""UBX messages on how well a receiver receives, and whether it knows its place: what each gives to doubt."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ntp_usg.core.base.doubts import Doubt, Trouble
from ntp_usg.core.base.errors import WireError

Troubles = dict[str, Trouble | None]
"""By part of the reception: what is wrong with it, None where nothing is."""


@dataclass(frozen=True, slots=True)
class Survey:
    """How far a station has come with measuring where it is."""

    duration: int
    """Seconds."""
    accuracy_m: float
    running: bool


_HW = struct.Struct("<20xBBB")
_RF_HEADER = struct.Struct("<BB2x")
_RF = struct.Struct("<BBB21x")
_SIG1 = struct.Struct("<B3xB3xB")
_SIG2 = struct.Struct("<BBxB")
_TIM_SVIN = struct.Struct("<I12xI4xBB2x")
_NAV_SVIN = struct.Struct("<8xI16xI4xBB2x")

_ANTENNA = {3: Trouble(Doubt.ANTENNA, "antenna shorted"), 4: Trouble(Doubt.ANTENNA, "antenna open")}
_JAMMING = {
    2: Trouble(Doubt.JAMMING, "jamming"),
    3: Trouble(Doubt.JAMMING, "jamming prevents a fix", severe=True),
}
_JAMMED_SIGNALS = {
    2: Trouble(Doubt.JAMMING, "jamming"),
    3: Trouble(Doubt.JAMMING, "critical jamming", severe=True),
}
_SPOOFING = {
    2: Trouble(Doubt.SPOOFING, "spoofing suspected"),
    3: Trouble(Doubt.SPOOFING, "spoofing suspected for several reasons", severe=True),
}
_FORGED_SIGNALS = {
    2: Trouble(Doubt.SPOOFING, "spoofing suspected"),
    3: Trouble(Doubt.SPOOFING, "spoofing affirmed", severe=True),
}


def spoofing(state: int) -> Troubles:
    """The word of NAV-STATUS: 0 does not look, 1 sees none, 2 suspects it, 3 for more than one reason."""
    return {"spoofing": _SPOOFING.get(state)}


def parse_hw(payload: bytes) -> Troubles:
    """MON-HW: one antenna, one band."""
    antenna, _power, flags = _HW.unpack_from(payload)
    return _radio([(flags >> 2 & 3, antenna)])


def parse_rf(payload: bytes) -> Troubles:
    """MON-RF: a block for each band."""
    _, count = _RF_HEADER.unpack_from(payload)
    if len(payload) != _RF_HEADER.size + count * _RF.size:
        raise WireError(f"MON-RF of {count} blocks in {len(payload)} bytes")
    blocks = _RF.iter_unpack(payload[_RF_HEADER.size :])
    return _radio([(flags & 3, antenna) for _, flags, antenna in blocks])


def parse_sig(payload: bytes) -> Troubles:
    """SEC-SIG, in both its versions; what a receiver does not look for it does not mention."""
    version = payload[0]
    if version == 1 and len(payload) >= _SIG1.size:
        _, jamming, spoof = _SIG1.unpack_from(payload)
    elif version == 2:
        _, flags, _ = _SIG2.unpack_from(payload)
        jamming, spoof = flags & 7, flags >> 3 & 15
    else:
        raise WireError(f"SEC-SIG of version {version} in {len(payload)} bytes")
    # Beside what MON-RF and NAV-STATUS say, who look in other ways: neither shall silence the other.
    return {
        "jamming signals": _JAMMED_SIGNALS.get(jamming >> 1 & 3) if jamming & 1 else None,
        "forged signals": _FORGED_SIGNALS.get(spoof >> 1 & 7) if spoof & 1 else None,
    }


def parse_tim_svin(payload: bytes) -> Survey:
    """TIM-SVIN: the survey of a timing receiver."""
    duration, variance, valid, active = _TIM_SVIN.unpack(payload)
    return Survey(duration, variance**0.5 / 1e3, running=bool(active and not valid))


def parse_nav_svin(payload: bytes) -> Survey:
    """NAV-SVIN: the survey of a base station."""
    duration, accuracy, valid, active = _NAV_SVIN.unpack(payload)
    return Survey(duration, accuracy / 1e4, running=bool(active and not valid))


def _radio(bands: Sequence[tuple[int, int]]) -> Troubles:
    """The worst of all bands, each a jamming's state (0 does not look, 1 none) and an antenna's (2 fine)."""
    jamming, antenna = max((band[0] for band in bands), default=0), max((band[1] for band in bands), default=0)
    return {"antenna": _ANTENNA.get(antenna), "jamming": _JAMMING.get(jamming)}
