"""Runs in the guest: pulses on the modem lines of serial ports.

One port is made by CUSE: its lines are asked and waited for as on a real one, and pulse a tenth of every second, 0.3 s
into it. Another is a pseudo-terminal, which takes the PPS line discipline, but never pulses.
"""

import asyncio
import contextlib
import errno
import json
import os
import struct
import subprocess
import sys
import termios
import threading
import time
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.system.guest.cuse import CharacterDevice, Control
from tests.system.guest.pulses import Listener, refusal, refusal_without_rights
from tests.system.guest.station import Daemon

from ntp_usg.core.base.instants import NS_PER_SECOND
from ntp_usg.core.receivers.pulses import CaptureMode
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions
from ntp_usg.refclocks.pulse_sources import KernelPulses, PulseWiring
from ntp_usg.sysapi.line_discipline import N_TTY, PpsAttachment, _set_discipline, driver_of
from ntp_usg.sysapi.modem_lines import ModemLine
from ntp_usg.sysapi.pps import PpsDevice

PHASE, WIDTH = 300_000_000, 100_000_000
KERNEL_TERMIOS = 36
PATIENCE = 20.0
"""Seconds: other tests may keep the machine busy."""


class Port:
    """What a serial port's driver does."""

    def __init__(self, bit: int) -> None:
        self.bit = bit
        self.settings = bytes(KERNEL_TERMIOS)
        self.looks = 0
        self.silent = False

    def controls(self) -> dict[int, Control]:
        return {
            termios.TCGETS: Control(lambda _: self.settings, KERNEL_TERMIOS),
            termios.TCSETS: Control(self.set, KERNEL_TERMIOS),
            termios.TIOCMGET: Control(self.look, 4),
            termios.TIOCMIWAIT: Control(self.wait, 0, waits=True),
        }

    def set(self, settings: bytes) -> bytes:
        self.settings = settings
        return settings

    def look(self, _: bytes) -> bytes:
        self.looks += 1
        active = not self.silent and (time.time_ns() - PHASE) % NS_PER_SECOND < WIDTH
        return struct.pack("=i", active * self.bit | termios.TIOCM_DSR)

    def wait(self, mask: bytes) -> bytes:
        assert struct.unpack("=Q", mask)[0] == self.bit
        since = (time.time_ns() - PHASE) % NS_PER_SECOND
        time.sleep((WIDTH - since if since < WIDTH else NS_PER_SECOND - since) / NS_PER_SECOND)
        return b""


def soon(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within a few seconds."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def refuse(_: bytes) -> bytes:
    raise OSError(errno.ENOTTY, "")


def listen(listener: Listener, seconds: float, **options: object) -> None:
    asyncio.run(listener.listen(PpsDriver(PpsOptions.model_validate(options)), seconds))


def driven(port: Port, seconds: float, **options: object) -> dict[str, object]:
    """What the driver reports of a port's pulses, and what that costs."""
    listener = Listener()
    looks = port.looks
    listen(listener, seconds, **options)
    edges = [pulse.edge_at for pulse in listener.pulses]
    return {
        "statuses": [[status.connected, status.detail] for status in listener.statuses],
        "sequences": [pulse.sequence for pulse in listener.pulses],
        "ends": [pulse.end.name for pulse in listener.pulses],
        "errors": [((edge - PHASE + NS_PER_SECOND // 2) % NS_PER_SECOND - NS_PER_SECOND // 2) / 1e9 for edge in edges],
        "looks": port.looks - looks,
        "threads_end": soon(lambda: not [each for each in threading.enumerate() if each.name.startswith("pps")]),
    }


def station(port: str) -> dict[str, object]:
    """The whole daemon, with a receiver that is right by these pulses: its seconds begin with them."""
    gps = Path(os.environ["TMPDIR"]) / "gps"
    receiver = [sys.executable, "-m", "ntp_usg.simulate", "--link", str(gps), "--offset", "0.7", "--drift-ppm", "0"]
    pulses = f'device = "{port}"\nline = "cts"\ncapture = "poll"\n'
    arguments = ["pps", "test", port, "--line", "cts", "--capture", "poll", "--count", "2", "--json"]
    tool = [sys.executable, "-c", "from ntp_usg.cli.main import app; app()", *arguments]
    test = subprocess.run(tool, stdout=subprocess.PIPE, text=True, check=False)
    with subprocess.Popen(receiver, stdout=subprocess.DEVNULL) as process:
        daemon = Daemon("station", f'[gps]\ndevice = "{gps}"\n[pps]\n{pulses}', 12300)
        # The first pulses promise little, those of a busy machine for a while.
        locked = daemon.wait_until(
            lambda status: status["system"]["selected"] == "PPS(0)" and status["system"]["root_distance"] < 0.01
        )
        status = daemon.status() if locked else {}
        code = daemon.stop()
        process.terminate()
    tested = {"exit_code": test.returncode, **json.loads(test.stdout)}
    return {"system": status.get("system"), "exit_code": code, "log": daemon.log, "tool": tested}


def modem_lines() -> dict[str, object]:
    port = Port(termios.TIOCM_CTS)
    with CharacterDevice("fakeS0", port.controls()) as device:
        path = str(device.path)
        options: dict[str, object] = {"device": path, "line": "cts", "timeout_secs": PATIENCE}
        result: dict[str, object] = {
            "poll": driven(port, PATIENCE, **options, capture="poll"),
            "poll_clear": driven(port, PATIENCE, **options, capture="poll", capture_mode="Clear"),
            "wait": driven(port, PATIENCE, **options, capture="wait"),
        }
        result["carrier_ignored"] = bool(struct.unpack_from("=I", port.settings, 8)[0] & termios.CLOCAL)
        result["daemon"] = station(path)
        port.silent = True
        result["silent"] = driven(port, 1.2, **options | {"capture": "poll", "timeout_secs": 1.0})
    with CharacterDevice("fakeS1", {**port.controls(), termios.TIOCMIWAIT: Control(refuse, 0)}) as device:
        result["cannot_wait"] = driven(port, 0.5, device=str(device.path), line="cts", capture="wait")["statuses"]
    with CharacterDevice("fakeS2", port.controls()) as device:
        line = ModemLine(str(device.path), "cts")
    result["unplugged"] = refusal(line.active)
    return result


@contextlib.contextmanager
def pseudo_terminal() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


def attachment() -> dict[str, object]:
    result: dict[str, object] = {}
    with pseudo_terminal() as port:
        attached = PpsAttachment(port)
        result["device"], result["driver"] = attached.device, driver_of(attached.device)
        second = PpsAttachment(port)
        result["second"] = second.device
        second.close()
        result["kept_by_the_first"] = Path(attached.device).exists()
        attached.close()
        result["gone"] = not Path(attached.device).exists()
        source = asyncio.run(PulseWiring(port, "dcd").open(CaptureMode.CLEAR))
        assert isinstance(source, KernelPulses)
        result["opened"] = Path(attached.device).exists()
        source.close()
        result["closed"] = soon(lambda: not Path(attached.device).exists())
        attached = PpsAttachment(port)
        _set_discipline(attached._descriptor, N_TTY)
        attached.close()
    return result


def kernel_consumer() -> dict[str, object]:
    device = PpsDevice("/dev/pps0")
    bind = refusal(lambda: device.bind_kernel("assert"))
    listener = Listener()
    listen(listener, PATIENCE, kernel_consumer=True)
    statuses = [[status.connected, status.detail] for status in listener.statuses]
    return {
        "bind": bind,
        "without_rights": refusal_without_rights(lambda: device.bind_kernel("assert")),
        "driver": {
            "statuses": statuses,
            "why": bind.removeprefix("DeviceError: "),
            "pulses": len(listener.pulses),
        },
    }


if __name__ == "__main__":
    result = {"lines": modem_lines(), "attachment": attachment(), "kernel_consumer": kernel_consumer()}
    print("GUEST RESULT", json.dumps(result))
