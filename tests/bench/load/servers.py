"""The servers that are compared, each as its users get it and without any right to set the clock.

All answer at port 123, whoever asks here, with their table of clients on. They are started by a bench that has a
network and a view of the files of its own: nobody else sees these ports, files and users.
"""

import getpass
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench.load import wire
from tests.bench.load.processes import prefer, tree

PEERS = Path(__file__).parents[3] / ".peers"
READY_SECONDS = 20.0
ROOM = 2
"""Times the clients that ask: places in the tables of clients when there are many."""
ADDRESS = "127.0.0.1"
PORT = 123
ALLOWED = ["127.0.0.0/8", "10.0.0.0/8"]
DENIED = ["192.0.2.0/24", "10.255.0.0/16"]
REQUEST = b"\x23" + bytes(46) + b"\x01"


class UnavailableError(Exception):
    """A server that cannot be had here, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """Where a server runs: a folder of its own, and how many clients it is to remember."""

    folder: Path
    clients: int


@dataclass(frozen=True, slots=True)
class Program:
    """A command line, and what it needs."""

    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    synchronised: bool = True
    """Whether to wait for it to say that it knows the time; without a reference some never do."""


def ours(setting: Setting, xdp_mode: str = "", addresses: Sequence[str] = ()) -> Program:
    """The daemon as a product: access lists, a rate limit that refuses nobody here, clients remembered."""
    user = "nobody" if os.geteuid() == 0 else getpass.getuser()
    xdp = f'xdp = ["{wire.OURS}"]\nxdp_mode = "{xdp_mode}"\n' if xdp_mode else ""
    listen = [f"{address}:{PORT}" for address in addresses or own_addresses()]
    configuration = setting.folder / "server.toml"
    configuration.write_text(
        f"""
[server]
listen_addr = {json.dumps(listen)}
clock = "virtual"
control_socket = "{setting.folder}/control.sock"
user = "{user}"
max_clients = {setting.clients}
{xdp}
[clock]
drift_file = ""
[local]
stratum = 1
[rate_limit]
packets_per_second = 1000000
burst_size = 1000000
[access]
allow = {json.dumps(ALLOWED)}
deny = {json.dumps(DENIED)}
"""
    )
    executable = Path(sys.executable).parent / "ntp_usg_server"
    return Program([str(executable), "--config", str(configuration)])


def chrony(setting: Setting) -> Program:
    configuration = setting.folder / "chrony.conf"
    configuration.write_text(
        f"port {PORT}\ncmdport 0\nlocal stratum 1\npidfile {setting.folder}/pid\nbindcmdaddress /\n".join(
            f"allow {network}\n" for network in ALLOWED
        )
        + "".join(f"deny {network}\n" for network in DENIED)
        + f"ratelimit interval -19 burst 255\nclientloglimit {max(setting.clients * 256, 524_288)}\n"
    )
    return Program(
        [find("usr/sbin/chronyd"), "-x", "-d", "-u", getpass.getuser(), "-f", str(configuration)], libraries()
    )


def ntpsec(setting: Setting) -> Program:
    configuration = setting.folder / "ntpsec.conf"
    configuration.write_text(
        "restrict default nomodify\nunrestrict default limited kod\ndisable ntp\n"
        f"mru maxdepth {setting.clients} maxmem {setting.clients}\n"
    )
    command = [find("usr/sbin/ntpd"), "-n", "-c", str(configuration)]
    return Program(command, libraries(), synchronised=False)


def openntpd(setting: Setting) -> Program:
    """It remembers nobody, and asks for a user and for folders that only its package's installation would make."""
    program = find("openntpd/usr/sbin/ntpd")
    if os.geteuid() != 0:
        raise UnavailableError("openntpd must be started by root")
    passwd, empty = setting.folder / "passwd", setting.folder / "empty"
    empty.mkdir(mode=0o755)
    passwd.write_text(Path("/etc/passwd").read_text() + f"ntpd:x:65534:65534::{empty}:/bin/false\n")
    configuration = setting.folder / "openntpd.conf"
    configuration.write_text("".join(f"listen on {address}\n" for address in own_addresses()))
    script = (
        f"mount --bind {passwd} /etc/passwd && mount -t tmpfs tmpfs /var/lib && mkdir -p /var/lib/openntpd/db "
        f"/var/lib/openntpd/run && exec {program} -d -f {configuration}"
    )
    return Program(["unshare", "--mount", "sh", "-c", script], libraries(), synchronised=False)


SERVERS: dict[str, Callable[[Setting], Program]] = {
    "ours": ours,
    "ours-any-address": partial(ours, addresses=["0.0.0.0"]),
    "native-xdp": partial(ours, xdp_mode="native"),
    "generic-xdp": partial(ours, xdp_mode="generic"),
    "chrony": chrony,
    "ntpsec": ntpsec,
    "openntpd": openntpd,
}
WIRED = {"native-xdp", "generic-xdp"}
"""These want a wire."""
SPECIAL = {"ours-any-address"}
"""These are measured when asked for."""
FORGETFUL = {"openntpd"}
"""These keep no table of clients."""


def own_addresses() -> list[str]:
    """The IPv4 addresses of this network."""
    lines = subprocess.run(["ip", "-4", "-o", "addr"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split()[3].split("/")[0] for line in lines]


def find(program: str) -> str:
    """The path of one of Debian's own."""
    if not (PEERS / program).exists():
        raise UnavailableError(f"{program.rpartition('/')[2]} is not there: run `sudo script/setup --system`")
    return str(PEERS / program)


def libraries() -> dict[str, str]:
    folders = [*(PEERS / "usr/lib").glob("*-linux-gnu*")]
    return {"LD_LIBRARY_PATH": ":".join(map(str, folders))}


class Running:
    """A server at work."""

    def __init__(self, name: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.name = name
        self.process = process.pid
        self._popen = process
        self._log = log

    @property
    def processes(self) -> list[int]:
        return tree(self.process)

    def wait(self, *, synchronised: bool) -> None:
        """Until it answers, and, where it is to, knows the time."""
        deadline = time.monotonic() + READY_SECONDS
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(0.1)
            while time.monotonic() < deadline and self._popen.poll() is None:
                try:
                    sock.sendto(REQUEST, (ADDRESS, PORT))
                    leap = sock.recv(100)[0] >> 6
                except OSError:
                    time.sleep(0.02)
                    continue
                if leap != 3 or not synchronised:
                    return
                time.sleep(0.05)
        raise UnavailableError(f"{self.name} does not answer: {self._log.read_text(errors='replace')[-2000:]}")


@contextmanager
def running(name: str, setting: Setting, core: int) -> Iterator[Running]:
    """A fresh server, pinned with all its processes to a core. Raises UnavailableError."""
    program = SERVERS[name](setting)
    log = setting.folder / "log"
    without_clock = ["setpriv", "--bounding-set", "-sys_time"] if os.geteuid() == 0 else []
    command = ["taskset", "--cpu-list", str(core), *without_clock, *program.command]
    if shutil.which(command[-len(program.command)]) is None:
        raise UnavailableError(f"{program.command[0]} is not there")
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **program.environment},
            start_new_session=True,
        )
    prefer(process.pid)
    server = Running(name, process, log)
    try:
        server.wait(synchronised=program.synchronised)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
