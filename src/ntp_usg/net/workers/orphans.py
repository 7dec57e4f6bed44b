"""Workers whose control process has died: they serve on for a while, but a new daemon needs their ports."""

import contextlib
import glob
import os
import signal
import time
from collections.abc import Collection, Iterator
from pathlib import Path

_MODULE = b"ntp_usg.net.workers.process"
_CONTROL = "ntp_usg_server"
"""The name of a control process; an orphan's new parent has another."""
_PATIENCE, _LOOK = 1.0, 0.01
"""Seconds that an orphan may take to end, and between two looks whether it has."""


def end_orphans(ports: Collection[int]) -> list[int]:
    """End the orphans that hold one of these UDP ports, as far as /proc shows them; their process ids."""
    with contextlib.suppress(OSError):  # no /proc, or not all of it: the port will be found in use
        orphans = [pid for pid in _holders(ports) if _is_orphan(pid)]
        for pid in orphans:
            _end(pid)
        return orphans
    return []


def _holders(ports: Collection[int]) -> Iterator[int]:
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
    yield from sorted(found)


def _is_orphan(pid: int) -> bool:
    with contextlib.suppress(OSError):
        process = Path(f"/proc/{pid}")
        if _MODULE in (process / "cmdline").read_bytes().split(b"\0"):
            parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
            return Path(f"/proc/{parent}/comm").read_text().strip() != _CONTROL
    return False


def _end(pid: int) -> None:
    """Ask it to end, and make it where it does not."""
    deadline = time.monotonic() + _PATIENCE
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
        while time.monotonic() < deadline and not _is_gone(pid):
            time.sleep(_LOOK)
        os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK)


def _is_gone(pid: int) -> bool:
    """Whether it has ended; its new parent may have overlooked that so far."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
