"""Workers whose control process has died: they serve on for a while, but a new daemon needs their ports."""

import contextlib
import os
import select
import signal
from collections.abc import Collection
from pathlib import Path

from ntp_usg.sysapi.port_holder import find_holders

_MODULE = b"ntp_usg.net.workers.process"
_CONTROL = "ntp_usg_server"
"""The usual name of a control process; an orphan's new parent has another."""
_PATIENCE_MS, _KILLED_MS = 1000, 100
"""How long an orphan may take to end when it is asked to, and when it is killed."""


def end_orphans(ports: Collection[int]) -> list[int]:
    """End the orphans that hold one of these UDP ports, as far as /proc shows them; their process ids."""
    holders = find_holders(ports)
    return [pid for pid in sorted(holders) if _end_orphan(pid, holders)]


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
