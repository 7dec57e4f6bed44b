"""Workers whose control process has died: they serve on for a while, but a new daemon needs their ports."""

import contextlib
import glob
import os
import select
import signal
from collections.abc import Collection
from pathlib import Path

_MODULE = b"ntp_usg.net.workers.process"
_CONTROL = "ntp_usg_server"
"""The usual name of a control process; an orphan's new parent has another."""
_PATIENCE_MS, _KILLED_MS = 1000, 100
"""How long an orphan may take to end when it is asked to, and when it is killed."""


def end_orphans(ports: Collection[int]) -> list[int]:
    """End the orphans that hold one of these UDP ports, as far as /proc shows them; their process ids."""
    holders: Collection[int] = ()
    with contextlib.suppress(OSError):  # no /proc, or not all of it: the port will be found in use
        holders = _find_holders(ports)
    return [pid for pid in sorted(holders) if _end_orphan(pid, holders)]


def _find_holders(ports: Collection[int]) -> Collection[int]:
    """The processes that have one of the ports open."""
    suffixes = tuple(f":{port:04X}" for port in ports)
    bound = set()
    for table in (Path("/proc/net/udp"), Path("/proc/net/udp6")):
        if table.exists():
            lines = (line.split() for line in table.read_text().splitlines()[1:])
            bound |= {f"socket:[{fields[9]}]" for fields in lines if fields[1].endswith(suffixes)}
    found = set()
    for link in glob.iglob("/proc/[0-9]*/fd/*"):  # noqa: PTH207 - this one survives processes that vanish
        with contextlib.suppress(OSError):
            if os.readlink(link) in bound:  # noqa: PTH115 - thousands of them
                found.add(int(link.split("/")[2]))
    return found


def _end_orphan(pid: int, holders: Collection[int]) -> bool:
    """Ask an orphan to end, and kill it if it does not; whether the process was one.

    The descriptor stands for this process alone: when it is gone, its number may soon be that of another.
    """
    with contextlib.suppress(OSError):
        process = os.pidfd_open(pid)
        try:
            if not _is_orphan(pid, holders):
                return False
            ended = select.poll()
            ended.register(process, select.POLLIN)
            for number, patience in ((signal.SIGTERM, _PATIENCE_MS), (signal.SIGKILL, _KILLED_MS)):
                signal.pidfd_send_signal(process, number)
                if ended.poll(patience):
                    break
            return True
        finally:
            os.close(process)
    return False


def _is_orphan(pid: int, holders: Collection[int]) -> bool:
    """Whether it is a worker whose parent is no control process: a living one has the worker's sockets open, too."""
    process = Path(f"/proc/{pid}")
    if _MODULE not in (process / "cmdline").read_bytes().split(b"\0"):
        return False
    parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
    return int(parent) not in holders and Path(f"/proc/{parent}/comm").read_text().strip() != _CONTROL
