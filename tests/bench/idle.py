"""What following a time source costs while no client asks: CPU time, wake-ups and memory, beside chrony.

All servers follow the same reference at a time, each in peace: none may set the clock, and nothing leaves the machine.
A wake-up is a voluntary context switch of any thread (/proc/PID/task/TID/status). docs/explanation/speed.md says more.
"""

import argparse
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load.processes import Rest, RestMeter, tree
from tests.bench.load.servers import UnavailableError, find, libraries

MOST_CPU, MOST_WAKE_UPS = 8.0, 0.2
"""What is promised of each process that follows a server: seconds of CPU time a day, and wake-ups a second."""
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Subject:
    """A server that is measured: how to start it in a folder, following the reference at a port."""

    command: Callable[[Path, int], Sequence[str]]
    promised: bool = False
    companion: Callable[[Path], Sequence[str]] | None = None
    """A program that it needs beside it, and that is not on its bill."""


def reference(folder: Path, port: int) -> Sequence[str]:
    """A server that serves this machine's time."""
    return _chronyd(folder, f"port {port}\nlocal stratum 1\nallow\n")


def chrony(folder: Path, reference_port: int) -> Sequence[str]:
    return _chronyd(
        folder, f"port {free_port()}\nserver 127.0.0.1 port {reference_port} iburst\nallow\nlocal stratum 10\n"
    )


def _chronyd(folder: Path, text: str) -> Sequence[str]:
    configuration = folder / "chrony.conf"
    configuration.write_text(f"{text}cmdport 0\npidfile {folder}/pid\nbindcmdaddress /\n")
    return [find("usr/sbin/chronyd"), "-x", "-d", "-u", "root", "-f", str(configuration)]


def ours(folder: Path, reference_port: int) -> Sequence[str]:
    """The daemon as it is by default, following one server."""
    return _ours(folder, f'[[source]]\naddress = "127.0.0.1:{reference_port}"\n')


def ours_pulses(folder: Path, _: int) -> Sequence[str]:
    """The daemon with a receiver that talks and gives a pulse each second."""
    return _ours(folder, f'[refclock]\ntype = "gps_pps"\ngps_device = "{folder}/gps"\npps_device = "{folder}/pps"\n')


def _ours(folder: Path, source: str) -> Sequence[str]:
    configuration = folder / "server.toml"
    configuration.write_text(
        f"""
[server]
listen_addr = ["127.0.0.1:{free_port()}"]
clock = "virtual"
control_socket = "{folder}/control.sock"
user = "nobody"
[metrics]
listen = "127.0.0.1:{free_port(socket.SOCK_STREAM)}"
[clock]
drift_file = "{folder}/drift"
{source}
"""
    )
    return [str(Path(sys.executable).parent / "ntp_usg_server"), "--config", str(configuration)]


def ours_clock(folder: Path, _: int) -> Sequence[str]:
    """The daemon with a reference clock of which it has a reading each second."""
    return _ours(folder, "[simulated]\npretend = true\n")


def receiver(folder: Path) -> Sequence[str]:
    return [sys.executable, "-m", "ntp_usg.simulate", "--link", f"{folder}/gps", "--pps", f"{folder}/pps"]


SUBJECTS = {
    "ours": Subject(ours, promised=True),
    "ours-clock": Subject(ours_clock),
    "ours-pulses": Subject(ours_pulses, companion=receiver),
    "chrony": Subject(chrony),
}


def free_port(kind: socket.SocketKind = socket.SOCK_DGRAM) -> int:
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def running(command: Sequence[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A program while it is needed."""
    with (
        log.open("ab") as output,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=output, env={**os.environ, **libraries()}
        ) as process,
    ):
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass(frozen=True, slots=True)
class Started:
    """A server at work, and its folder."""

    name: str
    process: int
    folder: Path

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def meters(self) -> list[tuple[str, RestMeter]]:
        """One for each of its processes, with what that is there for."""
        return [(self._role(process), RestMeter(process)) for process in tree(self.process)]

    def _role(self, process: int) -> str:
        """Our log says which of the workers answers."""
        if not self.name.startswith("ours"):
            return ""
        if process == self.process:
            return "control"
        answering = re.findall(r"Answering in process (\d+)", self.log)
        return "worker" if str(process) in answering[-1:] else "spare"


@contextmanager
def started(names: Sequence[str]) -> Iterator[list[Started]]:
    """The reference, and servers that follow it."""
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        root.chmod(0o755)
        folders = {name: root / name for name in ["reference", *names]}
        for folder in folders.values():
            folder.mkdir()
        port, servers = free_port(), []
        stack.enter_context(running(reference(folders["reference"], port), folders["reference"] / "log"))
        for name in names:
            subject, folder = SUBJECTS[name], folders[name]
            if subject.companion:
                stack.enter_context(running(subject.companion(folder), folder / "companion.log"))
            process = stack.enter_context(running(subject.command(folder, port), folder / "log"))
            servers.append(Started(name, process.pid, folder))
        yield servers


def measure(names: Sequence[str], settle: float, seconds: float) -> Iterator[tuple[str, str, Rest]]:
    """Server, role and figures of each process."""
    with started(names) as servers:
        time.sleep(settle)
        meters = [(server.name, *pair) for server in servers for pair in server.meters()]
        time.sleep(seconds)
        for name, its_role, meter in meters:
            yield name, its_role, meter.read()


def report(found: Sequence[tuple[str, str, Rest]]) -> tuple[str, bool]:
    """The table, and whether each promise was kept."""
    lines = ["| server | process | CPU s/day | wake-ups/s | resident MiB | promise |", "|---|---|---:|---:|---:|---|"]
    kept = True
    for name, its_role, rest in found:
        verdict = ""
        if SUBJECTS[name].promised:
            good = rest.cpu * DAY <= MOST_CPU and rest.wake_ups <= MOST_WAKE_UPS
            kept &= good
            verdict = "kept" if good else "MISSED"
        figures = f"{rest.cpu * DAY:.2f} | {rest.wake_ups:.3f} | {rest.resident / (1 << 20):.1f}"
        lines.append(f"| {name} | {its_role} | {figures} | {verdict} |")
    return "\n".join(lines), kept


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="script/bench idle", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--servers",
        type=lambda text: text.split(","),
        default=list(SUBJECTS),
        help=f"with commas between them; {', '.join(SUBJECTS)} where nothing is said",
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long to measure")
    parser.add_argument(
        "--settle",
        type=float,
        default=150.0,
        help="seconds from the start to the first reading; for two minutes servers are asked more often",
    )
    parser.add_argument("--require", action="store_true", help="fail where a promise is not kept")
    options = parser.parse_args()
    if unknown := [name for name in options.servers if name not in SUBJECTS]:
        parser.error(f"there is no {unknown[0]!r}; there are: {', '.join(SUBJECTS)}")
    if options.minutes <= 0 or options.settle < 0:
        parser.error("--minutes must be above 0, and --settle not below it")
    try:
        text, kept = report([*measure(options.servers, options.settle, 60 * options.minutes)])
    except UnavailableError as error:
        parser.error(str(error))
    print(text)
    if options.require and not kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
