"""`ntp_usg demo`: the whole server at work on this machine, with a receiver that is simulated down to its bytes."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from ntp_usg.cli.client import NoAnswerError, ask
from ntp_usg.cli.status import fetch_status
from ntp_usg.cli.tables import status_table
from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.instants import HostNs, seconds
from ntp_usg.observe.units import format_interval
from ntp_usg.simulate.receiver import SimulatedReceiver
from ntp_usg.simulate.truth import Truth

PORT = 11123
HTTP_PORT = 11180
QUESTION_INTERVAL = 0.05
REFRESH_INTERVAL = 0.25
PLAIN_INTERVAL = 2.0
"""Seconds between two lines where there is no terminal to redraw."""
EX_UNAVAILABLE = 69

CONFIGURATION = """\
[server]
listen_addr = [{listen}]
clock = "virtual"
control_socket = "{folder}/control.sock"
[clock]
drift_file = ""
[refclock]
type = "gps_pps"
gps_device = "{folder}/gps"
pps_device = "{folder}/pps.sock"
[metrics]
listen = "127.0.0.1:{http_port}"
"""


@dataclass
class CheckClient:
    """A client of our own, which counts what it gets and compares the latest time served with the receiver's truth."""

    servers: list[ServerAddress]
    truth: Truth
    sent: int = 0
    answered: int = 0
    offset: float | None = None
    error: float = 0.0
    """Of the latest time served, against the receiver's truth; as far as this client can tell."""
    uncertainty: float = 0.0
    """Half of that question's round trip: how far the client itself may be off."""

    async def run(self) -> None:
        """Ask one server after the other until cancelled."""
        while True:
            server = self.servers[self.sent % len(self.servers)]
            self.sent += 1
            with contextlib.suppress(NoAnswerError):
                answer = await ask(server, 1.0)
                self.answered += 1
                if answer.header.stratum:
                    self.offset, self.uncertainty = answer.offset, answer.delay / 2
                    self.error = answer.offset - _ahead(self.truth)
            await asyncio.sleep(QUESTION_INTERVAL)


def demo(
    *,
    duration: Annotated[
        float | None, typer.Option("--for", metavar="SECONDS", min=1, help="End by itself after this time.")
    ] = None,
    offset: Annotated[
        float, typer.Option(metavar="SECONDS", help="How far the receiver's truth is ahead of this machine's clock.")
    ] = 1.5,
    drift_ppm: Annotated[float, typer.Option(metavar="PPM", help="How fast it gains on this machine's clock.")] = 12.0,
) -> None:
    """Run a Stratum 1 server on loopback with a simulated receiver; this machine's clock is not touched.

    The receiver's truth differs from this machine's clock, so that the time served can only come from the receiver.

    Exit code: 0 when the server was synchronised at the end, 1 when it was not, 69 when it could not start.
    """
    truth = Truth(HostNs(time.time_ns()), offset, drift_ppm)
    folder = Path(tempfile.mkdtemp(prefix="ntp_usg-demo-"))
    try:
        synchronised = asyncio.run(_demo(folder, truth, duration))
    except NtpUsgError as error:
        typer.echo(f"ntp_usg demo: {error}", err=True)
        raise typer.Exit(EX_UNAVAILABLE) from None
    finally:
        shutil.rmtree(folder)
    raise typer.Exit(0 if synchronised else 1)


async def _demo(folder: Path, truth: Truth, duration: float | None) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # before there is anything that would be left behind
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    addresses = ["127.0.0.1", *(["::1"] if _has_ipv6() else [])]
    for address in addresses:
        _require_free_port(address)
    client = CheckClient([ServerAddress(address, PORT) for address in addresses], truth)
    receiver = SimulatedReceiver(truth, folder / "gps", folder / "pps.sock")
    listen = ", ".join(f'"{server}"' for server in client.servers)
    (folder / "server.toml").write_text(CONFIGURATION.format(listen=listen, folder=folder, http_port=HTTP_PORT))
    log = folder / "server.log"
    async with _background(receiver.run()), _daemon(folder, log) as process:
        if not await _started(process, log, stop):
            return False
        async with _background(client.run()):
            await _show(folder, client, duration, stop)
        status = await asyncio.to_thread(fetch_status, folder / "control.sock")
    Console(highlight=False, soft_wrap=True).print(_summary(status, client))
    return bool(status["system"]["synchronised"])


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def _daemon(folder: Path, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The real daemon, in a process group of its own: Ctrl-C in a terminal must not end it before its last status."""
    command = [str(Path(sys.executable).with_name("ntp_usg_server")), "--config", str(folder / "server.toml")]
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, process_group=0
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _started(process: asyncio.subprocess.Process, log: Path, stop: asyncio.Event) -> bool:
    """Wait until the daemon serves, or somebody ends it. Raises NtpUsgError with its last words where it does not."""
    words = ""
    for _ in range(100):
        words = log.read_text()  # noqa: ASYNC240 - a few lines, from memory
        if " serves on " in words:
            return True
        if process.returncode is not None:
            break
        if await _told(stop, 0.1):
            return False
    raise NtpUsgError(f"the server did not start:\n{words}")


async def _told(stop: asyncio.Event, patience: float) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience):  # wait_for of Python 3.11 can swallow a cancellation
            await stop.wait()
    return stop.is_set()


async def _show(folder: Path, client: CheckClient, duration: float | None, stop: asyncio.Event) -> None:
    """Keep the picture fresh until the time is over or somebody ends it."""
    console = Console(highlight=False)
    ends_at = time.monotonic() + duration if duration else float("inf")
    with Live(console=console, auto_refresh=False) if console.is_terminal else contextlib.nullcontext() as live:
        while not stop.is_set() and time.monotonic() < ends_at:
            status = await asyncio.to_thread(fetch_status, folder / "control.sock")
            if live:
                live.update(Group(status_table(status), "", _truth(client), "", _hints(folder)), refresh=True)
            else:
                console.print(_line(status, client), soft_wrap=True)
            pause = min(REFRESH_INTERVAL if live else PLAIN_INTERVAL, max(0.0, ends_at - time.monotonic()))
            await _told(stop, pause)


def _truth(client: CheckClient) -> Text:
    """What our own client measures, beside what the receiver knows."""
    text = Text("check client: ", style="bold")
    if client.offset is None:
        return text.append("no time yet: the server serves none before it has locked to its receiver", style="")
    text.append(f"served time is {client.offset:+.6f} s from this machine's clock, {_comparison(client)}; ", style="")
    return text.append(f"{client.answered} of {client.sent} requests answered", style="")


def _comparison(client: CheckClient) -> str:
    """What the client sees of the error, which is mostly its own: a question takes longer than the server is wrong."""
    error, own = format_interval(client.error, sign="+"), format_interval(client.uncertainty)
    return f"{error} +- {own} from the receiver's truth (half of this client's round trip is its error bound)"


def _hints(folder: Path) -> Text:
    commands = [
        f"ntp_usg query 127.0.0.1:{PORT} [::1]:{PORT}",
        f"ntp_usg status --socket {folder}/control.sock",
        f"curl http://127.0.0.1:{HTTP_PORT}/metrics",
        f"tail -f {folder}/server.log",
    ]
    prefix = Path(sys.executable).parent
    shown = [f"{prefix}/{command}" if command.startswith("ntp_usg") else command for command in commands]
    return Text("Try in another terminal (Ctrl-C ends the demo):\n  " + "\n  ".join(shown), style="dim")


def _line(status: dict[str, Any], client: CheckClient) -> str:
    system = status["system"]
    gps, pps = status["sources"]
    used = gps["fix"] and gps["fix"]["satellites_used"]
    satellites = "-" if used is None else used
    served = "none yet" if client.offset is None else f"{client.offset:+.6f} s from the host's"
    return (
        f"{system['phase']}: stratum {system['stratum']}, {satellites} satellites, pulse "
        f"{format_interval(pps['offset'], sign='+')}, served time {served}, {client.answered} requests answered"
    )


def _summary(status: dict[str, Any], client: CheckClient) -> str:
    system = status["system"]
    if not system["synchronised"]:
        return f"NOT synchronised: {status['health']['text']}"
    assert client.offset is not None
    return (
        f"Stratum {system['stratum']}, synchronised to {system['selected']}: served time {client.offset:+.6f} s from "
        f"this machine's clock, error below {format_interval(system['root_distance'])}; {_comparison(client)}; "
        f"answered {client.answered} of {client.sent} requests of its own check client."
    )


def _ahead(truth: Truth) -> float:
    host = HostNs(time.time_ns())
    return seconds(truth.true_time(host) - host)


def _require_free_port(address: str) -> None:
    """Raises NtpUsgError at once, instead of after the daemon's own tries."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((address, PORT))
    except OSError as error:
        raise NtpUsgError(
            f"UDP port {PORT} of {address} cannot be used ({error.strerror}): does another demo run?"
        ) from error


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
