"""One measurement: the generator asks a server, and the CPU time of everybody concerned is read before and after."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.bench.load.processes import Meter, kernel_threads, memory, prefer, wait_until_quiet
from tests.bench.load.servers import ADDRESS, PORT, Running

OTHERS = 0.08
"""Of a core: what others may use before a measurement is made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the server is asked."""

    generator: Sequence[str]
    """A module and its arguments."""
    threads: Sequence[int] = ()
    """Kernel threads whose work is done for the server."""


LONGEST_WAIT = 10.0
"""Seconds for a single measurement."""
LOOPBACK = Way(generator=["tests.bench.load.generator", f"{ADDRESS}:{PORT}", "--sockets=4"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run gave. Times in nanoseconds of CPU time for each answer; shares are of one core."""

    mode: str
    server: str
    round: int
    cpu: float
    control: float
    """Of `cpu`, what the server's first process took: in ours the one that does not answer."""
    kernel_threads: float
    """Of `cpu`, what kernel threads took."""
    rate: float
    """Answers a second."""
    server_busy: float
    generator_busy: float
    others: float
    """CPU time of everybody else on the machine."""
    memory: int
    load: dict[str, Any] = field(default_factory=dict)
    """What the generator counted, and percentiles in microseconds."""


class Conditions:
    """What is the same for all measurements: the generator's core, and how long to wait for others to be quiet."""

    def __init__(self, generator_core: int, patience: float) -> None:
        """`patience` in seconds, for all measurements together, waiting and repeating included."""
        self.generator_core = generator_core
        self._patience = patience

    def measure(
        self, mode: str, server: Running, number: int, arguments: Sequence[str], way: Way, tries: int
    ) -> Measurement:
        """Measure; while patience lasts, on a quiet machine, and again where somebody disturbed."""
        found: list[Measurement] = []
        while not found or (found[-1].others > OTHERS and self._patience > 0 and len(found) < tries):
            started = time.monotonic()
            wait_until_quiet(OTHERS, min(self._patience, LONGEST_WAIT))
            if not found:
                self._patience -= time.monotonic() - started
            found.append(_measure_once(mode, server, number, arguments, self.generator_core, way))
            if len(found) > 1:
                self._patience -= time.monotonic() - started
        return min(found, key=lambda each: each.others)


def _measure_once(
    mode: str, server: Running, number: int, arguments: Sequence[str], core: int, way: Way
) -> Measurement:
    command = ["taskset", "--cpu-list", str(core), sys.executable, "-m", *way.generator, "--on-command", *arguments]
    processes = server.processes
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as generator:
        prefer(generator.pid)
        assert generator.stdin is not None
        assert generator.stdout is not None
        if generator.stdout.readline() != "ready\n":
            raise OSError("the load generator has failed")
        try:
            of_generator = {generator.pid, *kernel_threads("napi/ntp")} - {*way.threads}
            meter = Meter([*processes, *way.threads, *of_generator])
            generator.stdin.write("\n")
            generator.stdin.flush()
            generator.stdout.readline()
            usage = meter.read()
            load = json.loads(generator.stdout.readline())
        except BaseException:
            generator.kill()
            raise
    used = usage.by_process
    in_threads = sum(used[each] for each in way.threads)
    total = sum(used[each] for each in processes) + in_threads
    answers = max(load["answered"], 1)
    return Measurement(
        mode=mode,
        server=server.name,
        round=number,
        cpu=total / answers,
        control=used[server.process] / answers,
        kernel_threads=in_threads / answers,
        rate=load["answered"] / load["seconds"],
        server_busy=total / usage.elapsed,
        generator_busy=load["busy"],
        others=max(usage.machine - usage.total, 0) / usage.elapsed,
        memory=memory(processes),
        load=load,
    )


@dataclass(frozen=True, slots=True)
class Summary:
    """Medians over the rounds of one mode and server, and how far the figures lie apart."""

    runs: list[Measurement]

    def median(self, name: str) -> float:
        values = [float(getattr(run, name)) for run in self.runs]
        return statistics.median(values)

    def span(self, name: str) -> tuple[float, float]:
        values = [getattr(run, name) for run in self.runs]
        return min(values), max(values)

    def percentile(self, kind: str, part: str) -> float:
        values = [float(run.load[kind].get(part, "nan")) for run in self.runs]
        return statistics.median(values)

    def count(self, name: str) -> int:
        return sum(int(run.load[name]) for run in self.runs)

    def ratio(self, other: "Summary") -> float:
        """How many times the CPU time the other one takes: the median of the ratios within each round."""
        theirs = {run.round: run.cpu for run in other.runs}
        ratios = [theirs[run.round] / run.cpu for run in self.runs if run.round in theirs]
        return statistics.median(ratios) if ratios else float("nan")
