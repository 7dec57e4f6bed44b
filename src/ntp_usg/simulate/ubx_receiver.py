"""A u-blox receiver that can be asked, told and read back, as three generations of them are."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.core.receivers.ubx_framing import Kind, build_frame
from ntp_usg.core.receivers.ubx_settings import build_values, parse_values
from ntp_usg.simulate.sawtooth import Sawtooth
from ntp_usg.simulate.sentences import Sky, build_burst
from ntp_usg.simulate.ubx import (
    build_dop,
    build_eoe,
    build_hw,
    build_nav_svin,
    build_pulse,
    build_pvt,
    build_radio,
    build_satellites,
    build_security,
    build_status,
    build_svinfo,
    build_tim_svin,
    build_timels,
    build_timeutc,
)

_SYNC = b"\xb5\x62"
_UART1, _USB = 1, 3
_ANTENNAS = {"fine": 2, "shorted": 3, "open": 4}
_SURVEY, _FIXED = 1, 2
_FIRST_ACCURACY_M = 20.0
_TMODE, _SURVEY_SECONDS, _SURVEY_LIMIT, _NMEA_OUT = 0x20030001, 0x40030010, 0x40030011, 0x10740002
_MESSAGE_KEYS = {
    Kind.NAV_STATUS: 0x2091001A,
    Kind.NAV_DOP: 0x20910038,
    Kind.NAV_PVT: 0x20910006,
    Kind.NAV_TIMELS: 0x20910060,
    Kind.NAV_SAT: 0x20910015,
    Kind.NAV_SVIN: 0x20910088,
    Kind.NAV_EOE: 0x2091015F,
    Kind.MON_RF: 0x20910359,
    Kind.TIM_TP: 0x2091017D,
    Kind.TIM_SVIN: 0x20910097,
    Kind.SEC_SIG: 0x20910634,
}
_TIMING_KEYS = {
    **dict.fromkeys((_TMODE, 0x20030002, 0x20030006, 0x20030007, 0x20030008), b"\0"),
    **dict.fromkeys((0x40030003, 0x40030004, 0x40030005, 0x4003000F, _SURVEY_SECONDS, _SURVEY_LIMIT), bytes(4)),
}
_COMMON_KEYS = {
    _NMEA_OUT: b"\1",
    0x30210001: struct.pack("<H", 1_000),
    0x30210002: struct.pack("<H", 1),
    0x1041000D: b"\0",
    0x20110021: b"\0",
    **dict.fromkeys((0x20050023, 0x20050030), b"\0"),
    **dict.fromkeys((0x40050002, 0x40050003), struct.pack("<I", 1_000_000)),
    **dict.fromkeys((0x40050004, 0x40050005), bytes(4)),
    **dict.fromkeys((0x10050007, 0x10050008, 0x10050009, 0x1005000A, 0x2005000C), b"\1"),
}
_GROUPS = {
    Kind.CFG_RATE: struct.pack("<HHH", 1_000, 1, 1),
    # Of the pulse an antenna's cable of 50 ns, a falling edge, and GPS's second.
    Kind.CFG_TP5: struct.pack("<BB2x2h4IiI", 0, 1, 50, 0, 1_000_000, 1_000_000, 0, 100_000, 0, 0b1011_0111),
    Kind.CFG_NAV5: struct.pack("<HBB32x", 0xFFFF, 0, 3),
    Kind.CFG_ITFM: struct.pack("<II", 0x2D62ACF3, 0x0000031E),
}


@dataclass(frozen=True, slots=True)
class Model:
    """What is peculiar to a product."""

    software: str
    hardware: str
    extensions: tuple[str, ...]
    messages: tuple[Kind, ...]
    """All that it can send, in their order."""
    keys: bool = False
    """Whether it is set up by keys and values, else by a message for each group of settings."""
    timing_mode: Kind | None = None
    """How its survey is set up, where it can make one."""


_EARLY = (Kind.NAV_STATUS, Kind.NAV_DOP, Kind.NAV_TIMEUTC, Kind.NAV_SVINFO)
_LATE = (Kind.NAV_STATUS, Kind.NAV_DOP, Kind.NAV_PVT, Kind.NAV_TIMELS, Kind.NAV_SAT)
MODELS = {
    "6": Model("7.03 (45969)", "00040007", (), (*_EARLY, Kind.MON_HW, Kind.TIM_TP)),
    "8T": Model(
        "EXT CORE 3.01 (111141)",
        "00080000",
        ("FWVER=TIM 1.10", "PROTVER=22.00", "MOD=NEO-M8T-0"),
        (*_LATE, Kind.NAV_EOE, Kind.MON_HW, Kind.TIM_TP, Kind.TIM_SVIN),
        timing_mode=Kind.CFG_TMODE2,
    ),
    "8P": Model(
        "EXT CORE 3.01 (d189ff)",
        "00080000",
        ("FWVER=HPG 1.43", "PROTVER=20.30", "MOD=NEO-M8P-2"),
        (*_LATE, Kind.NAV_SVIN, Kind.NAV_EOE, Kind.MON_HW, Kind.TIM_TP),
        timing_mode=Kind.CFG_TMODE3,
    ),
    "9T": Model(
        "EXT CORE 1.00 (8dd7ec)",
        "00190000",
        ("FWVER=TIM 2.20", "PROTVER=29.20", "MOD=ZED-F9T"),
        (*_LATE, Kind.NAV_EOE, Kind.MON_RF, Kind.TIM_TP, Kind.TIM_SVIN),
        keys=True,
        timing_mode=Kind.CFG_VALSET,
    ),
    "10": Model(
        "ROM SPG 5.10 (7b202e)",
        "000A0000",
        ("FWVER=SPG 5.10", "PROTVER=34.10"),
        (*_LATE, Kind.NAV_EOE, Kind.MON_RF, Kind.TIM_TP, Kind.SEC_SIG),
        keys=True,
    ),
}
"""By generation, with a letter for what is not the plain product."""


class UbxReceiver:
    """As it leaves the factory: it speaks NMEA until it is told otherwise. `refuses` are commands that it NAKs."""

    def __init__(
        self, model: Model, sawtooth: Sawtooth | None = None, *, refuses: tuple[Kind, ...] = (), port: int = _UART1
    ) -> None:
        self._model = model
        self._sawtooth = sawtooth or Sawtooth(0)
        self._refuses = refuses
        self._port = port
        self._heard = b""
        self._rates: dict[bytes, int] = {}
        self._groups = dict(_GROUPS)
        self._values: dict[int, bytes] = {}
        if model.timing_mode in {Kind.CFG_TMODE2, Kind.CFG_TMODE3}:
            self._groups[model.timing_mode] = bytes(28 if model.timing_mode is Kind.CFG_TMODE2 else 40)
        if model.keys:
            timing = _TIMING_KEYS if model.timing_mode else {}
            self._values = _COMMON_KEYS | timing | {_MESSAGE_KEYS[kind] + _UART1: b"\0" for kind in model.messages}
        self._survey_began: WallNs | None = None
        self.commands: list[bytes] = []
        """Every frame that was heard whole."""

    def say(self, second: WallNs, sky: Sky) -> bytes:
        """NMEA where it is on, and the messages that are on."""
        running, duration = self._survey(second)
        fixed = not running and self._timing_mode()[0] in {_SURVEY, _FIXED}
        builders = self._builders(second, sky, fixed=fixed, running=running, duration=duration)
        number = second // NS_PER_SECOND
        due = [kind for kind in self._model.messages if (rate := self._rate(kind)) and number % rate == 0]
        return (build_burst(second, sky) if self._speaks_nmea() else b"") + b"".join(builders[kind]() for kind in due)

    def hear(self, data: bytes) -> bytes:
        """The answers to all frames that these bytes complete."""
        self._heard = (self._heard + data)[-1_000:]
        answers = b""
        while (start := self._heard.find(_SYNC)) >= 0 and len(self._heard) >= start + 8:
            kind, length = struct.unpack_from(">H", self._heard, start + 2)[0], self._heard[start + 4]
            frame = self._heard[start : start + 8 + length]
            if len(frame) < 8 + length:
                break
            whole = frame == build_frame(kind, frame[6:-2])
            self._heard = self._heard[start + (len(frame) if whole else 2) :]
            if whole:
                self.commands.append(frame)
                answers += self._answer(kind, frame[6:-2])
        return answers

    def _answer(self, kind: int, payload: bytes) -> bytes:
        if kind == Kind.MON_VER:
            texts = [self._model.software.ljust(30, "\0"), self._model.hardware.ljust(10, "\0")]
            texts += [text.ljust(30, "\0") for text in self._model.extensions]
            return build_frame(Kind.MON_VER, "".join(texts).encode())
        answer = None if kind in self._refuses else self._obey(kind, payload)
        name = kind.to_bytes(2, "big")
        if answer is None:
            return build_frame(Kind.ACK_NAK, name)
        return answer + build_frame(Kind.ACK_ACK, name)

    def _obey(self, kind: int, payload: bytes) -> bytes | None:
        """The answer beside the acknowledgement, where there is one; None is a refusal."""
        if kind in {Kind.CFG_VALGET, Kind.CFG_VALSET}:
            return self._obey_keys(kind, payload[4:])
        if kind == Kind.CFG_PRT and not self._model.keys:
            return build_frame(kind, bytes([self._port]) + bytes(19))
        if kind == Kind.CFG_MSG and not self._model.keys:
            return self._obey_rate(payload)
        known = Kind(kind) if kind in set(Kind) else None
        if self._model.keys or known not in self._groups:
            return None
        if len(payload) <= 1:
            return build_frame(kind, self._groups[known])
        self._groups[known] = self._groups[known][:2] + payload[2:] if known is Kind.CFG_NAV5 else payload
        return b""

    def _obey_rate(self, payload: bytes) -> bytes | None:
        name = payload[:2]
        if name[0] != 0xF0 and int.from_bytes(name, "big") not in self._model.messages:
            return None
        if len(payload) == 3:
            self._rates[name] = payload[2]
            return b""
        rates = bytearray(6)
        rates[self._port] = self._rates.get(name, name[0] == 0xF0)
        return build_frame(Kind.CFG_MSG, name + rates)

    def _obey_keys(self, kind: int, data: bytes) -> bytes | None:
        if kind == Kind.CFG_VALSET:
            news = parse_values(data)
            if news.keys() <= self._values.keys():
                self._values |= news
                return b""
            return None
        keys = [int.from_bytes(data[start : start + 4], "little") for start in range(0, len(data), 4)]
        if any(key not in self._values for key in keys):
            return None
        return build_frame(kind, b"\1\0\0\0" + build_values({key: self._values[key] for key in keys}))

    def _rate(self, kind: Kind) -> int:
        if self._model.keys:
            return self._values[_MESSAGE_KEYS[kind] + _UART1][0]
        return self._rates.get(kind.to_bytes(2, "big"), 0)

    def _speaks_nmea(self) -> bool:
        if self._model.keys:
            return self._values[_NMEA_OUT] == b"\1"
        return self._rates.get(b"\xf0\x04", 1) > 0  # RMC stands for all

    def _timing_mode(self) -> tuple[int, int, float]:
        """The mode, and of a survey its least seconds and its largest error in metres."""
        match self._model.timing_mode:
            case Kind.CFG_VALSET:
                seconds, limit = (self._values[key] for key in (_SURVEY_SECONDS, _SURVEY_LIMIT))
                return self._values[_TMODE][0], int.from_bytes(seconds, "little"), int.from_bytes(limit, "little") / 1e4
            case Kind.CFG_TMODE2:
                mode, seconds, limit = struct.unpack("<B19xII", self._groups[Kind.CFG_TMODE2])
                return mode, seconds, limit / 1e3
            case Kind.CFG_TMODE3:
                mode, seconds, limit = struct.unpack("<2xB21xII8x", self._groups[Kind.CFG_TMODE3])
                return mode, seconds, limit / 1e4
        return 0, 0, 0.0

    def _survey(self, now: WallNs) -> tuple[bool, int]:
        """Whether one is going on, and for how many seconds it has."""
        mode, least, limit = self._timing_mode()
        if mode != _SURVEY:
            self._survey_began = None
            return False, 0
        self._survey_began = self._survey_began or now
        duration = (now - self._survey_began) // NS_PER_SECOND
        return duration < least or _accuracy(duration) > limit, duration

    def _builders(
        self, second: WallNs, sky: Sky, *, fixed: bool, running: bool, duration: int
    ) -> Mapping[Kind, Callable[[], bytes]]:
        following = WallNs(second + NS_PER_SECOND)
        suspicion, jamming, antenna = 1 + sky.forged, 1 + sky.jammed, _ANTENNAS[sky.antenna]
        return {
            Kind.NAV_STATUS: lambda: build_status(second, sky, spoofing=suspicion),
            Kind.NAV_DOP: lambda: build_dop(second, sky),
            Kind.NAV_PVT: lambda: build_pvt(second, sky, fixed=fixed),
            Kind.NAV_TIMEUTC: lambda: build_timeutc(second),
            Kind.NAV_TIMELS: lambda: build_timels(second),
            Kind.NAV_SVINFO: lambda: build_svinfo(second, sky),
            Kind.NAV_SAT: lambda: build_satellites(second, sky),
            Kind.NAV_SVIN: lambda: build_nav_svin(second, duration, _accuracy(duration), running=running),
            Kind.NAV_EOE: lambda: build_eoe(second),
            Kind.MON_HW: lambda: build_hw(antenna, jamming),
            Kind.MON_RF: lambda: build_radio((antenna, jamming)),
            # What is to be added to the stamp of a pulse that comes late is less than nothing.
            Kind.TIM_TP: lambda: build_pulse(following, -self._sawtooth.error_ps(following)),
            Kind.TIM_SVIN: lambda: build_tim_svin(duration, _accuracy(duration), running=running),
            Kind.SEC_SIG: lambda: build_security(jamming, suspicion),
        }


def _accuracy(duration: int) -> float:
    return float(_FIRST_ACCURACY_M / (1 + duration) ** 0.5)
