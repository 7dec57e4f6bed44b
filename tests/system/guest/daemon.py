"""Runs in the guest: the daemon with the kernel's clock to steer, and a receiver that is right by another clock.

Truth gains 80 ppm on the guest's raw clock, and is 1.5 s ahead of its wall clock at the start.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

from ntp_usg.core.base.instants import seconds
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.truth import Truth
from ntp_usg.sysapi.timex import ClockStatus, KernelClock

DRIFT_PPM = 80.0
WATCHED_SECONDS = 10
FOLDER = Path(os.environ["TMPDIR"])
RIVAL = """
import sys
from ntp_usg.sysapi.privileges import set_process_name
from ntp_usg.sysapi.timex import KernelClock
set_process_name("chronyd")
KernelClock().step(700_000_000)
print(flush=True)
sys.stdin.read()
"""
CONFIGURATION = f"""
[server]
listen_addr = ["127.0.0.1:123"]
control_socket = "{FOLDER}/control.sock"
clock = "system"
user = "nobody"
[refclock]
type = "gps_pps"
gps_device = "{FOLDER}/gps"
pps_device = "{FOLDER}/pps.sock"
[clock]
drift_file = ""
"""


def make_truth() -> Truth:
    raw, host = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW), time.time_ns()
    return Truth(raw, offset=seconds(host - raw) + 1.5, drift_ppm=DRIFT_PPM, clock=time.CLOCK_MONOTONIC_RAW)


def error_of_the_wall_clock(truth: Truth) -> float:
    """Seconds that it is ahead of true time."""
    now = truth.now()
    return seconds(truth.stamp(now) - now)


async def until_locked(truth: Truth, process: asyncio.subprocess.Process) -> None:
    """Until the kernel counts as synchronised, by the daemon's own word, and has settled."""
    kernel = KernelClock()
    while ClockStatus.UNSYNCHRONISED in kernel.state().status or abs(error_of_the_wall_clock(truth)) > 1e-3:
        if process.returncode is not None:
            raise SystemExit(process.returncode)
        await asyncio.sleep(0.2)


async def watch(truth: Truth) -> dict[str, object]:
    """What the kernel's clock does while the daemon is in charge of it."""
    errors = []
    for _ in range(WATCHED_SECONDS):
        await asyncio.sleep(1)
        errors.append(error_of_the_wall_clock(truth))
    state = KernelClock().state()
    return {
        "errors": errors,
        "frequency_ppm": state.frequency_ppm,
        "maximum_error": state.maximum_error,
        "unsynchronised": ClockStatus.UNSYNCHRONISED in state.status,
    }


async def disturb(truth: Truth, process: asyncio.subprocess.Process) -> dict[str, object]:
    """Let another program step the clock, and wait until that is mended."""
    pipe = asyncio.subprocess.PIPE
    rival = await asyncio.create_subprocess_exec(sys.executable, "-c", RIVAL, stdin=pipe, stdout=pipe)
    assert rival.stdout is not None
    await rival.stdout.readline()
    disturbed = error_of_the_wall_clock(truth)
    await until_locked(truth, process)
    await asyncio.sleep(1)
    mended = error_of_the_wall_clock(truth)
    await rival.communicate(b"")  # ends its standard input, and so the program
    return {"disturbed": disturbed, "mended": mended}


async def main() -> dict[str, object]:
    (FOLDER / "server.toml").write_text(CONFIGURATION)
    truth = make_truth()
    command = [str(Path(sys.executable).parent / "ntp_usg_server"), "--config", str(FOLDER / "server.toml")]
    receiver = asyncio.create_task(SimulatedReceiver(truth, FOLDER / "gps", FOLDER / "pps.sock").run())
    log = (FOLDER / "log").open("w")
    process = await asyncio.create_subprocess_exec(*command, stderr=log)
    result: dict[str, object] = {"error_before": error_of_the_wall_clock(truth)}
    try:
        await asyncio.wait_for(until_locked(truth, process), 25)
        result |= await watch(truth)
        result |= await asyncio.wait_for(disturb(truth, process), 25)
    except TimeoutError:
        result["failure"] = "never locked"
    process.send_signal(signal.SIGTERM)
    result["exit_code"] = await process.wait()
    result["ppm_left_behind"] = KernelClock().state().frequency_ppm
    receiver.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await receiver
    return result | {"log": (FOLDER / "log").read_text()}


print("GUEST RESULT", json.dumps(asyncio.run(main())))
