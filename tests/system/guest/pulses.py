"""Runs in the guest: the PPS interface of its kernel, with pulses from its timer (pps-ktimer) and a line without any.

The line without pulses is a pseudo-terminal with the PPS line discipline (pps-ldisc): it can capture both edges, and
can be unplugged.
"""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.core.base.samples import DeviceStatus, Fix, Measurement, Pulse, PulseCorrection, Reception, TimeMessage
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.daemon import event_loop
from ntp_usg.refclocks.pps import PpsDriver, PpsOptions
from ntp_usg.sysapi import pps
from ntp_usg.sysapi.pps import PpsDevice
from ntp_usg.sysapi.privileges import drop_privileges

N_PPS = 18
CAPTURED_EDGES = 0x03


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except (DeviceError, TimeoutError) as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def capture_mode(device: PpsDevice) -> int:
    buffer = bytearray(pps._PARAMETERS.size)
    device._control(pps.PPS_GETPARAMS, buffer)
    return int(pps._PARAMETERS.unpack(buffer)[1]) & CAPTURED_EDGES


def device_with_pulses() -> dict[str, object]:
    device = PpsDevice("/dev/pps0")
    capabilities = device.capabilities()
    device.set_mode(assert_edge=True, clear_edge=False)
    infos, delays = [], []
    for _ in range(4):
        infos.append(device.fetch(3.0))
        delays.append((time.time_ns() - infos[-1].assert_ns) / 1e9)
    started = time.monotonic()
    result = {
        "capabilities": [capabilities.assert_edge, capabilities.clear_edge, capabilities.can_wait],
        "sequences": [info.assert_sequence for info in infos],
        "intervals": [(b.assert_ns - a.assert_ns) / 1e9 for a, b in pairwise(infos)],
        "delays": delays,
        "clear_sequence": infos[-1].clear_sequence,
        "latest_is_last": device.fetch(0) == infos[-1],
        "timeout": refusal(lambda: device.fetch(0.2)),
        "timeout_took": time.monotonic() - started,
        "clear": refusal(lambda: device.set_mode(assert_edge=False, clear_edge=True)),
    }
    device.close()
    return result


def refusal_without_rights(call: Callable[[], object]) -> str:
    """What a process that has dropped its rights is told."""
    fork = get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)

    def ask() -> None:
        drop_privileges()
        sender.send(refusal(call))

    child = fork.Process(target=ask)
    child.start()
    told: str = receiver.recv()
    child.join()
    return told


def device_without_pulses() -> dict[str, object]:
    master, slave = os.openpty()
    fcntl.ioctl(slave, termios.TIOCSETD, struct.pack("i", N_PPS))
    device = PpsDevice("/dev/pps1")
    result: dict[str, object] = {}
    for name, edges in {"clear": (False, True), "both": (True, True), "assert": (True, False)}.items():
        device.set_mode(assert_edge=edges[0], clear_edge=edges[1])
        result[f"mode_{name}"] = capture_mode(device)
        result[f"without_rights_{name}"] = refusal_without_rights(
            lambda: device.set_mode(assert_edge=False, clear_edge=True)
        )
    result["silence"] = refusal(lambda: device.fetch(0.2))
    result["without_rights_open"] = refusal_without_rights(lambda: PpsDevice("/dev/pps1"))
    os.close(slave)
    os.close(master)
    result["unplugged"] = refusal(lambda: device.fetch(0.2))
    result["unplugged_open"] = refusal(lambda: PpsDevice("/dev/pps1"))
    return result


class Listener:
    """A driver's context that writes down what it is told."""

    def __init__(self) -> None:
        self.pulses: list[Pulse] = []
        self.statuses: list[DeviceStatus] = []
        self.verdicts: list[Verdict] = []
        self.enough = asyncio.Event()

    def pulse(self, pulse: Pulse) -> None:
        self.pulses.append(pulse)
        if len(self.pulses) == 3:
            self.enough.set()

    def correction(self, correction: PulseCorrection) -> None:
        raise AssertionError(correction)

    def sample(self, measurement: Measurement) -> None:
        raise AssertionError(measurement)

    def reception(self, reception: Reception) -> None:
        raise AssertionError(reception)

    def status(self, status: DeviceStatus) -> None:
        self.statuses.append(status)

    def verdict(self, verdict: Verdict) -> None:
        self.verdicts.append(verdict)

    def message(self, message: TimeMessage) -> None: ...
    def fix(self, fix: Fix) -> None: ...
    def now(self) -> HostNs:
        return HostNs(time.time_ns())

    async def listen(self, driver: PpsDriver, seconds: float) -> None:
        """Until there are three pulses, or so long."""
        running = asyncio.create_task(driver.run(self))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.enough.wait(), seconds)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def driver() -> dict[str, object]:
    listener = Listener()
    await listener.listen(PpsDriver(PpsOptions()), 20)
    edges = [pulse.edge_at for pulse in listener.pulses]
    return {
        "statuses": [[status.connected, status.detail] for status in listener.statuses],
        "sequences": [pulse.sequence for pulse in listener.pulses],
        "intervals": [(after - before) / 1e9 for before, after in pairwise(edges)],
        "verdicts": [str(verdict) for verdict in listener.verdicts],
    }


def driver_without_thread() -> dict[str, object]:
    os.environ["NTP_USG_EVENT_LOOP"] = "select"
    before = threading.enumerate()
    result = event_loop.run(driver())
    return result | {"threads": [thread.name for thread in threading.enumerate() if thread not in before]}


def tool() -> dict[str, object]:
    """`ntp_usg pps test`, until it has three pulses; and until Ctrl-C."""
    mode = capture_mode(PpsDevice("/dev/pps0"))
    command = [sys.executable, "-c", "from ntp_usg.cli.main import app; app()", "pps", "test", "/dev/pps0"]
    counted = subprocess.run([*command, "--count", "3"], capture_output=True, text=True, check=False)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        while "sequence: " not in program.stdout.readline():
            pass
        program.send_signal(signal.SIGINT)
        interrupted = program.stdout.read()
    return {
        "counted": [counted.returncode, counted.stdout, counted.stderr],
        "interrupted": [program.returncode, interrupted],
        "mode_is_kept": capture_mode(PpsDevice("/dev/pps0")) == mode,
    }


def main() -> dict[str, object]:
    return {
        "name": Path("/sys/class/pps/pps0/name").read_text().strip(),
        "device": device_with_pulses(),
        "silent": device_without_pulses(),
        "driver": asyncio.run(driver()),
        "tool": tool(),
        "driver_without_thread": driver_without_thread(),
    }


if __name__ == "__main__":
    print("GUEST RESULT", json.dumps(main()))
