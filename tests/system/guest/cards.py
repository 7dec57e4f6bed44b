"""Runs in the guest: clocks on cards (/dev/ptpN) and real-time clocks (/dev/rtcN) that cuse.py makes, and daemons.

All of them are right, and 1.5 s ahead of the guest's own clock. ptp0 counts TAI and can be read in every way; ptp1 can
be read in the oldest way only, has inputs, and stamps both edges of the pulses on one of them. rtc0 gives interrupts,
rtc1 has none and is set to local time.
"""

import errno
import json
import os
import struct
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.system.guest.cuse import CharacterDevice, Control, control
from tests.system.guest.station import Daemon, is_synchronised

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi import phc, rtc
from ntp_usg.sysapi.phc import PhcDevice, find_clock
from ntp_usg.sysapi.rtc import RtcDevice

SECOND = 10**9
AHEAD_NS = 1_500_000_000
TAI_OFFSET = 37
WIDTH_NS = 100_000_000
ZONE = "XXX-3"  # POSIX counts west of Greenwich as positive: three hours ahead of UTC


def split(nanoseconds: int) -> bytes:
    return struct.pack("=qI4x", *divmod(nanoseconds, SECOND))


def refuse(number: int) -> Callable[[bytes], bytes]:
    def handle(_: bytes) -> bytes:
        raise OSError(number, "")

    return handle


class Card:
    """A clock with two input channels and one pin; a pulse each second comes in at channel 1."""

    def __init__(self, name: str, *, ahead_ns: int, modern: bool) -> None:
        self._ahead_ns = ahead_ns
        self._watched: set[int] = set()
        self.requests: list[str] = []
        calls = {
            phc.PTP_CLOCK_GETCAPS: lambda _: struct.pack("=7i52x", 10**6, 0, 2, 0, 0, 1, modern),
            phc.PTP_SYS_OFFSET_PRECISE: self.precise if modern else refuse(errno.EOPNOTSUPP),
            phc.PTP_SYS_OFFSET_EXTENDED: self.extended if modern else refuse(errno.EOPNOTSUPP),
            phc.PTP_SYS_OFFSET: self.plain,
            phc.PTP_EXTTS_REQUEST: self.watch,
            phc.PTP_EXTTS_REQUEST2: refuse(errno.EOPNOTSUPP),
            phc.PTP_PIN_SETFUNC: self.set_pin,
        }
        self.device = CharacterDevice(name, {number: control(number, call) for number, call in calls.items()})
        threading.Thread(target=self._beat, daemon=True).start()

    def now(self) -> int:
        return time.time_ns() + self._ahead_ns

    def precise(self, _: bytes) -> bytes:
        host = time.time_ns()
        return split(host + self._ahead_ns) + split(host) + bytes(32)

    def extended(self, data: bytes) -> bytes:
        (count,) = struct.unpack_from("=I", data)
        return data[:16] + b"".join(
            split(time.time_ns()) + split(self.now()) + split(time.time_ns()) for _ in range(count)
        )

    def plain(self, data: bytes) -> bytes:
        (count,) = struct.unpack_from("=I", data)
        return (
            data[:16]
            + b"".join(split(time.time_ns()) + split(self.now()) for _ in range(count))
            + split(time.time_ns())
        )

    def watch(self, data: bytes) -> bytes:
        channel, flags = struct.unpack_from("=II", data)
        self.requests.append(f"channel {channel}, flags {flags}")
        (self._watched.add if flags & 1 else self._watched.discard)(channel)
        return data

    def set_pin(self, data: bytes) -> bytes:
        pin, function, channel = struct.unpack_from("=III", data, 64)
        if pin:
            raise OSError(errno.EBUSY, "")
        self.requests.append(f"pin {pin}, function {function}, channel {channel}")
        return data

    def _beat(self) -> None:
        while True:
            for phase_ns in (0, WIDTH_NS):
                edge_ns = (self.now() - phase_ns) // SECOND * SECOND + SECOND + phase_ns
                time.sleep((edge_ns - self.now()) / SECOND)
                for channel in self._watched:
                    self.device.say(split(edge_ns) + struct.pack("=II8x", channel, 0))


class RealTimeClock:
    """A chip that shows whole seconds."""

    def __init__(self, name: str, *, interrupts: bool, zone_ns: int = 0) -> None:
        self._ahead_ns = AHEAD_NS + zone_ns
        self._told = False
        controls = {rtc.RTC_RD_TIME: control(rtc.RTC_RD_TIME, self.read)}
        if interrupts:
            controls |= {rtc.RTC_UIE_ON: Control(self.tell, 0), rtc.RTC_UIE_OFF: Control(self.hush, 0)}
        self.device = CharacterDevice(name, controls, exclusive=True)
        threading.Thread(target=self._beat, daemon=True).start()

    def now(self) -> int:
        return time.time_ns() + self._ahead_ns

    def read(self, _: bytes) -> bytes:
        shown = datetime.fromtimestamp(self.now() // SECOND, UTC)
        fields = shown.second, shown.minute, shown.hour, shown.day, shown.month - 1, shown.year - 1900
        return struct.pack("=9i", *fields, 0, 0, 0)

    def tell(self, _: bytes) -> bytes:
        self._told = True
        return b""

    def hush(self, _: bytes) -> bytes:
        self._told = False
        return b""

    def _beat(self) -> None:
        while True:
            time.sleep((SECOND - self.now() % SECOND) / SECOND + 50e-6)
            if self._told:
                self.device.say(struct.pack("@L", 1 << 8 | 0x90))


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except DeviceError as error:
        return str(error)
    return "none"


def reading(path: str) -> dict[str, object]:
    """What the device says directly."""
    device = PhcDevice(path)
    can = device.capabilities()
    stamps = device.compare(5)
    result: dict[str, object] = {
        "capabilities": [can.channels, can.pins, can.cross_stamps],
        "way": device.way,
        "offsets": [(stamp.card_ns - stamp.host) / SECOND for stamp in stamps],
        "widths": [stamp.width_ns / SECOND for stamp in stamps],
    }
    device.close()
    return result


def refusals() -> dict[str, str]:
    card, holder = PhcDevice("/dev/ptp1", stamps_edges=True), RtcDevice("/dev/rtc0")
    found = {
        "missing": refusal(lambda: PhcDevice("/dev/ptp9")),
        "no_clock": refusal(lambda: PhcDevice("/dev/rtc1")),
        "no_rtc": refusal(lambda: RtcDevice("/dev/ptp0").read_time()),
        "pin": refusal(lambda: card.set_pin(1, 0)),
        "held": refusal(lambda: RtcDevice("/dev/rtc0")),
        "interface": refusal(lambda: find_clock("lo")),
    }
    card.close()
    holder.close()
    return found


def outcome(daemon: Daemon, condition: Callable[[dict[str, Any]], bool] = is_synchronised) -> dict[str, object]:
    came = daemon.wait_until(condition)
    return {"came": came, "status": daemon.status() if came else None, "log": daemon.log}


def follows_pulses(status: dict[str, Any]) -> bool:
    return bool(status["system"]["stratum"] == 1 and abs(status["system"]["host_offset"] - AHEAD_NS / SECOND) < 1e-3)


def main() -> dict[str, object]:
    os.environ["TZ"] = ZONE
    card = Card("ptp0", ahead_ns=AHEAD_NS + TAI_OFFSET * SECOND, modern=True)
    old_card = Card("ptp1", ahead_ns=AHEAD_NS, modern=False)
    clocks = [
        RealTimeClock("rtc0", interrupts=True),
        RealTimeClock("rtc1", interrupts=False, zone_ns=3 * 3600 * SECOND),
    ]
    result: dict[str, object] = {
        "modern": reading("/dev/ptp0"),
        "old": reading("/dev/ptp1"),
        "refusals": refusals(),
    }
    numbers = '[rtc]\ndevice = "/dev/rtc1"\nutc = false\naccuracy_secs = 0.1\n'
    stamps = '[phc]\ndevice = "/dev/ptp1"\nexternal_stamps = true\nchannel = 1\npin = 0\ntimeout_secs = 3\n'
    daemons = {
        "card": Daemon("card", "[phc]\ntai = true\nutc_offset_secs = 37\n", 1123),
        "rtc": Daemon("rtc", "[rtc]\n", 1124),
        "pulses": Daemon("pulses", stamps + numbers, 1125, step_threshold="1ms"),
    }
    result["outcomes"] = {
        "card": outcome(daemons["card"]),
        "rtc": outcome(daemons["rtc"]),
        "pulses": outcome(daemons["pulses"], follows_pulses),
    }
    card.device.close()
    gone = daemons["card"].wait_until(lambda status: not status["sources"][0]["healthy"], 15)
    result["unplugged"] = daemons["card"].status()["sources"][0]["reason"] if gone else "nothing was noticed"
    result["exit_codes"] = [daemon.stop() for daemon in daemons.values()]
    result["requests"] = old_card.requests
    for clock in clocks:
        clock.device.close()
    return result


print("GUEST RESULT", json.dumps(main()))
