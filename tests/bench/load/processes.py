"""What the operating system knows of processes: whose CPU time it was, their memory, and who else was at work."""

import contextlib
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_IDLE = (3, 4)
"""Which fields of a `cpu` line are no work: idle and waiting for input."""


def tree(process: int) -> list[int]:
    """A process and all that came from it."""
    found = [process]
    for each in found:
        for task in (PROC / str(each) / "task").glob("*/children"):
            with contextlib.suppress(OSError):
                found += map(int, task.read_text().split())
    return found


def cpu_ns(process: int) -> int:
    """CPU time of all its threads that still run, with the softirq work that was done in them."""
    total = 0
    for task in (PROC / str(process) / "task").glob("*/schedstat"):
        with contextlib.suppress(OSError):
            total += int(task.read_text().split()[0])
    return total


def wake_ups(process: int) -> int:
    """How often its threads that still run have gone to sleep by themselves, and thus had to be woken again."""
    total = 0
    for task in (PROC / str(process) / "task").glob("*/status"):
        with contextlib.suppress(OSError):
            [line] = [each for each in task.read_text().splitlines() if each.startswith("voluntary_ctxt_switches")]
            total += int(line.split()[1])
    return total


def memory(processes: Iterable[int]) -> int:
    """Octets that they use; what several share is counted once (proportional set size)."""
    total = 0
    for process in processes:
        lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def prefer(process: int) -> None:
    """Put what a process and its children do before everybody else's work, where we may; it leads a session."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process, -15)
        # Niceness counts within a session only; between sessions, that of their groups (sched(7)).
        (PROC / str(process) / "autogroup").write_text("-15")


def kernel_threads(prefix: str) -> list[int]:
    """Kernel threads by the beginning of their name."""
    found = []
    for folder in PROC.iterdir():
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if folder.name.isdecimal() and (folder / "comm").read_text().startswith(prefix):
                found.append(int(folder.name))
    return found


def machine_busy_ns() -> tuple[int, int]:
    """CPU time of everybody on all cores, and what the host of a virtual machine has withheld; in ticks of 10 ms."""
    fields = [int(word) for word in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]]
    return sum(each for index, each in enumerate(fields) if index not in _IDLE) * _TICK_NS, fields[7] * _TICK_NS


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU time within a while, in nanoseconds."""

    elapsed: int
    by_process: dict[int, int]
    machine: int
    stolen: int

    @property
    def total(self) -> int:
        return sum(self.by_process.values())


class Meter:
    """Counts from its making on."""

    def __init__(self, processes: Iterable[int]) -> None:
        self._before = {process: cpu_ns(process) for process in processes}
        self._machine, self._stolen = machine_busy_ns()
        self._started = time.monotonic_ns()

    def read(self) -> Usage:
        elapsed = time.monotonic_ns() - self._started
        machine, stolen = machine_busy_ns()
        used = {process: cpu_ns(process) - before for process, before in self._before.items()}
        return Usage(elapsed, used, machine - self._machine, stolen - self._stolen)


@dataclass(frozen=True, slots=True)
class Rest:
    """What a process did within a while: CPU seconds and wake-ups, both a second; its resident octets at the end."""

    cpu: float
    wake_ups: float
    resident: int


class RestMeter:
    """Counts one process from its making on."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._cpu, self._wake_ups = cpu_ns(process), wake_ups(process)
        self._started = time.monotonic()

    def read(self) -> Rest:
        elapsed = time.monotonic() - self._started
        status = (PROC / str(self._process) / "status").read_text()
        [resident] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")]
        return Rest(
            (cpu_ns(self._process) - self._cpu) / 1e9 / elapsed,
            (wake_ups(self._process) - self._wake_ups) / elapsed,
            resident * 1024,
        )


def wait_until_quiet(share: float, patience: float) -> None:
    """Wait until all of the machine uses less than this share of a core, but not longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        meter = Meter([])
        time.sleep(0.4)
        usage = meter.read()
        if usage.machine < share * usage.elapsed:
            return
