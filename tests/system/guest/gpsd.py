"""Runs in the guest: Debian's gpsd has a receiver on a serial port whose DCD pulses, and feeds one daemon in each way.

The port is made by CUSE, because gpsd takes no pulses from a pseudo-terminal. The receiver is right, and 1.5 s ahead of
the guest's own clock.
"""

import errno
import json
import os
import shutil
import struct
import subprocess
import termios
import threading
import time
from pathlib import Path

from tests.system.guest.cuse import CharacterDevice, Control
from tests.system.guest.station import FOLDER, Daemon, is_synchronised

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.simulate.sentences import Sky, build_burst

AHEAD_NS = 1_500_000_000
WIDTH_NS, LATENCY_NS = 100_000_000, 150_000_000
"""Of a pulse, and from its beginning to the burst: gpsd would take the end of a pulse that the burst comes before."""
KERNEL_TERMIOS = 36
WATCHED = termios.TIOCM_CAR | termios.TIOCM_RNG | termios.TIOCM_CTS | termios.TIOCM_DSR
"""The lines that gpsd waits for: whichever of them changes."""
SOCKET = Path("/run/chrony.ttyGPS0.sock")
TABLES = {
    "sock": f'[sock]\ndevice = "{SOCKET}"\naccuracy_secs = 0.1\n',
    "gpsd": "[gpsd]\npulse = true\naccuracy_secs = 0.1\n",
    "shm": "[shm]\nunit = 1\naccuracy_secs = 0.1\n",
}


class Receiver:
    """One on /dev/NAME, silent until somebody has set up the port."""

    def __init__(self, name: str) -> None:
        flags = termios.B9600 | termios.CS8 | termios.CREAD | termios.CLOCAL
        self._settings = struct.pack("=4I20x", 0, 0, flags, 0)
        self._lines = 0
        self._changed = threading.Condition()
        self._in_use = threading.Event()
        accept = Control(lambda _: b"", 0)
        controls = {
            termios.TCGETS: Control(lambda _: self._settings, KERNEL_TERMIOS),
            **dict.fromkeys((termios.TCSETS, termios.TCSETSF), Control(self._set_up, KERNEL_TERMIOS)),
            **dict.fromkeys((termios.TCFLSH, termios.TIOCEXCL, termios.TIOCNXCL), accept),
            termios.TIOCMGET: Control(lambda _: struct.pack("=I", self._lines), 4),
            # gpsd gives up a line when a wait fails, yet drops privileges while it waits, which interrupts all threads.
            termios.TIOCMIWAIT: Control(self._wait, 0, waits=True, interruptible=False),
        }
        self.device = CharacterDevice(name, controls)
        threading.Thread(target=self._beat, daemon=True).start()

    def _set_up(self, settings: bytes) -> bytes:
        self._settings = settings
        self._in_use.set()
        return settings

    def _wait(self, mask: bytes) -> bytes:
        if struct.unpack("=Q", mask)[0] != WATCHED:
            raise OSError(errno.EINVAL, "")
        with self._changed:
            self._changed.wait()
        return b""

    def _beat(self) -> None:
        self._in_use.wait()
        sky = Sky()
        while True:
            second = (time.time_ns() + AHEAD_NS) // NS_PER_SECOND * NS_PER_SECOND + NS_PER_SECOND
            sleep_until(second)
            self._show(termios.TIOCM_CAR)
            sleep_until(second + WIDTH_NS)
            self._show(0)
            sleep_until(second + LATENCY_NS)
            self.device.say(build_burst(WallNs(second), sky))

    def _show(self, lines: int) -> None:
        with self._changed:
            self._lines = lines
            self._changed.notify_all()


def sleep_until(instant: int) -> None:
    while (left := instant - AHEAD_NS - time.time_ns()) > 0:
        time.sleep(left / NS_PER_SECOND)


def start_gpsd(device: Path, log: Path) -> subprocess.Popen[bytes]:
    peers = Path(__file__).parents[3] / ".peers/usr/sbin"
    program = shutil.which("gpsd", path=f"{peers}{os.pathsep}{os.environ['PATH']}")
    assert program
    with log.open("w") as output:
        return subprocess.Popen([program, "-n", "-b", "-N", "-D", "3", device], stdout=output, stderr=output)


def outcome(daemon: Daemon) -> dict[str, object]:
    came = daemon.wait_until(is_synchronised, 20)
    return {"came": came, "status": daemon.status() if came else None, "log": daemon.log}


def main() -> dict[str, object]:
    receiver = Receiver("ttyGPS0")
    daemons = {name: Daemon(name, table, 1123 + number) for number, (name, table) in enumerate(TABLES.items())}
    while not SOCKET.exists():
        time.sleep(0.05)
    log = FOLDER / "gpsd.log"
    gpsd = start_gpsd(receiver.device.path, log)
    outcomes = {name: outcome(daemon) for name, daemon in daemons.items()}
    codes = [daemon.stop() for daemon in daemons.values()]
    gpsd.terminate()
    gpsd.wait(10)
    return {"outcomes": outcomes, "exit_codes": codes, "log": log.read_text()}


print("GUEST RESULT", json.dumps(main()))
