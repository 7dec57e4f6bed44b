"""A wire to measure on: a pair of virtual interfaces, ours and that of another machine, where the generator is.

Each end handles what it receives in a kernel thread (threaded NAPI) that is pinned to its side's core, so that the
server's bill has all that a network card would make its core do. That thread goes before the server, as a card's
interrupts would: whether it does changes the figures more than most servers differ, see docs/explanation/speed.md.
"""

import ctypes
import fcntl
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.load.processes import kernel_threads

OURS, THEIRS = "ntp0", "ntp1"
ADDRESS, PEER = "10.9.0.1", "10.9.0.2"
FIRST_CLIENT, CLIENTS = "10.16.0.0", "10.16.0.0/12"

_SIOCETHTOOL = 0x8946
_ETHTOOL_STSO, _ETHTOOL_SGRO = 0x1F, 0x2C


@dataclass(frozen=True, slots=True)
class Wire:
    """`holder` is a process at the other end; `threads` do our receiving."""

    holder: int
    threads: list[int]


@contextmanager
def open_wire(server_core: int, generator_core: int, niceness: int = -20) -> Iterator[Wire]:
    """From this network namespace, which is ours alone, to a new one; `niceness` is that of receiving."""
    command = ["unshare", "--net", "--mount", "sh", "-c", "mount -t sysfs sysfs /sys && echo ready && exec cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            raise OSError("no second network namespace to be had")
        enter = ["nsenter", f"--target={holder.pid}", "--net", "--mount", "env", f"--chdir={Path.cwd()}"]
        try:
            _connect(holder.pid, enter)
            for core, name in ((server_core, OURS), (generator_core, THEIRS)):
                for thread in kernel_threads(f"napi/{name}-"):
                    os.sched_setaffinity(thread, {core})
                    os.setpriority(os.PRIO_PROCESS, thread, niceness)
            yield Wire(holder.pid, kernel_threads(f"napi/{OURS}-"))
        finally:
            _run("ip", "link", "del", OURS)
            holder.stdin.close()


def _connect(peer: int, enter: list[str]) -> None:
    _run("ip", "link", "add", OURS, "type", "veth", "peer", "name", THEIRS, "netns", str(peer))
    for where, name, address in (([], OURS, ADDRESS), (enter, THEIRS, PEER)):
        _run(*where, "ip", "address", "add", f"{address}/24", "dev", name)
        _run(*where, "ip", "link", "set", "lo", "up")
        _run(*where, sys.executable, "-m", "tests.bench.load.wire", name)
    _run("ip", "route", "add", CLIENTS, "via", PEER)


def set_up(name: str) -> None:
    """Offloads like a plain card's, and receiving in a thread; in the namespace of the interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for command, value in ((_ETHTOOL_STSO, 0), (_ETHTOOL_SGRO, 1)):
            request = ctypes.create_string_buffer(struct.pack("II", command, value))
            fcntl.ioctl(sock, _SIOCETHTOOL, struct.pack("16sP16x", name.encode(), ctypes.addressof(request)))
    _run("ip", "link", "set", name, "up")
    Path(f"/sys/class/net/{name}/threaded").write_text("1")  # only now is there something to put into a thread


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    set_up(sys.argv[1])
