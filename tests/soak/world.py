"""The daemon and all that it talks to, as real processes in a network namespace of their own."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, cast

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.instants import HostNs, WallNs
from ntp_usg.core.wire.header import Header, Mode, build_header, parse_header
from ntp_usg.core.wire.timestamps import to_ntp
from ntp_usg.simulate.truth import Truth

USER = "NTP_USG_SOAK_USER"
"""The environment's variable with the user for the workers; set where the namespace is made."""
SERVER = ("127.0.0.1", 123)
UPSTREAM = ("127.0.0.2", 1123)
HTTP = ("127.0.0.1", 9123)
CONFIGURATION = """\
[server]
listen_addr = ["127.0.0.1:123"]
clock = "virtual"
control_socket = "{folder}/control.sock"
user = "{user}"
[clock]
drift_file = "{folder}/drift"
[refclock]
type = "gps_pps"
gps_device = "{folder}/gps"
pps_device = "{folder}/pps.sock"
[[source]]
address = "127.0.0.2:1123"
min_poll = 3
max_poll = 4
[access]
monitor = ["127.0.0.0/8"]
[metrics]
listen = "127.0.0.1:9123"
"""


class DaemonError(Exception):
    """The daemon does not serve although it should."""


class Upstream(asyncio.DatagramProtocol):
    """A stratum 1 server that tells the truth, when it is up to it."""

    def __init__(self, truth: Truth) -> None:
        self.silent = False
        self.spoilt: bytes | None = None
        self.delay = 0.0
        self._truth = truth
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # Python 3.11's is no subclass of it

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        arrived = self._truth.now()
        if not self.silent:
            asyncio.get_running_loop().call_later(self.delay, self._answer, data, addr, arrived)

    def _answer(self, data: bytes, addr: tuple[str | Any, int], arrived: WallNs) -> None:
        assert self._transport is not None
        with contextlib.suppress(WireError):
            request = parse_header(data)
            header = Header(
                mode=Mode.SERVER,
                stratum=1,
                precision=-20,
                root_dispersion=1e-3,  # this program is woken late
                reference_id=b"GPS\0",
                reference_timestamp=to_ntp(arrived),
                origin_timestamp=request.transmit_timestamp,
                receive_timestamp=to_ntp(arrived),
                transmit_timestamp=to_ntp(self._truth.now()),
            )
            self._transport.sendto(self.spoilt or build_header(header), addr)


@dataclass
class World:
    """What runs and what is known of it, all in seconds of monotonic time.

    In `absences` the daemon was away because we ended it; at `unsynchronised_at` it said that it is unsynchronised, or
    said nothing.
    """

    folder: Path
    truth: Truth
    random: Random
    upstream: Upstream
    receiver: asyncio.subprocess.Process
    daemon: asyncio.subprocess.Process
    absences: list[tuple[float, float]] = field(default_factory=list)
    unsynchronised_at: list[float] = field(default_factory=list)
    phase: str = "starting"

    @property
    def configuration(self) -> Path:
        return self.folder / "server.toml"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(encoding="utf-8", errors="replace")

    def tell_receiver(self, command: str) -> None:
        assert self.receiver.stdin is not None
        self.receiver.stdin.write(f"{command}\n".encode())

    def workers(self) -> list[int]:
        """The daemon's children: who answers, and the spares."""
        path = Path(f"/proc/{self.daemon.pid}/task/{self.daemon.pid}/children")
        with contextlib.suppress(OSError):
            return [int(word) for word in path.read_text(encoding="ascii").split()]
        return []

    def signal_daemon(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.daemon.send_signal(number)

    async def restart(self, number: signal.Signals) -> None:
        """End the daemon with a signal, and start it again."""
        left = time.monotonic()
        self.signal_daemon(number)
        await end(self.daemon)
        self.daemon = await start_daemon(self.folder)
        self.phase = "starting"
        self.absences.append((left, time.monotonic()))

    def excused(self, at: float) -> bool:
        """Whether the daemon was away at that time because we ended it."""
        return any(start <= at <= end + 0.5 for start, end in self.absences)

    async def watch(self) -> None:
        """Note what the daemon says of itself, until cancelled."""
        while True:
            try:
                system = (await asyncio.to_thread(self.status))["system"]
                self.phase, synchronised = str(system["phase"]), bool(system["synchronised"])
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                self.phase, synchronised = "unreachable", False
            if not synchronised:
                self.unsynchronised_at.append(time.monotonic())
            await asyncio.sleep(0.5)

    def status(self) -> dict[str, Any]:
        """What `ntp_usg status` asks for."""
        with closing(http.client.HTTPConnection("localhost", timeout=2)) as connection:
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.settimeout(2)
            connection.sock.connect(str(self.folder / "control.sock"))
            connection.request("GET", "/api/v1/status")
            result: dict[str, Any] = json.loads(connection.getresponse().read())
            return result


async def start_daemon(folder: Path) -> asyncio.subprocess.Process:
    """Return when it serves. Raises DaemonError with its log where it does not."""
    log = folder / "server.log"
    before = log.stat().st_size if log.exists() else 0
    program = Path(sys.executable).with_name("ntp_usg_server")
    with log.open("ab") as output:
        daemon = await asyncio.create_subprocess_exec(
            program, "--config", folder / "server.toml", stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output
        )
    for _ in range(300):
        if re.search(rb" serves on ", log.read_bytes()[before:]):
            return daemon
        await asyncio.sleep(0.1)
    raise DaemonError(f"the daemon does not serve:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


@asynccontextmanager
async def open_world(folder: Path, seed: int) -> AsyncIterator[World]:
    """All that is needed, until the end of the block."""
    truth = Truth(HostNs(time.time_ns()), offset=1.5, drift_ppm=12.0)
    configuration = CONFIGURATION.format(folder=folder, user=os.environ[USER])
    (folder / "server.toml").write_text(configuration, encoding="utf-8")
    line = ["--link", f"{folder}/gps", "--pps", f"{folder}/pps.sock", "--epoch", f"{truth.epoch / 1e9:.9f}"]
    receiver = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ntp_usg.simulate", *line, "--offset", "1.5", "--drift-ppm", "12"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    loop = asyncio.get_running_loop()
    transport, upstream = await loop.create_datagram_endpoint(lambda: Upstream(truth), local_addr=UPSTREAM)
    async with AsyncExitStack() as parts:
        parts.callback(transport.close)
        parts.push_async_callback(end, receiver)
        world = World(folder, truth, Random(seed), upstream, receiver, await start_daemon(folder))
        parts.push_async_callback(lambda: end(world.daemon))
        yield world


async def end(process: asyncio.subprocess.Process) -> None:
    """As systemd does: ask, and kill after a while."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(20):
            await process.wait()
    except TimeoutError:
        process.kill()
