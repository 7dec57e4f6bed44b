"""How fast the server answers, at what cost, and how good its time stamps are then, beside chrony, NTPsec and OpenNTPD.

Each server runs on a core of its own, the generator on another. In each round every server is started afresh, one
after the other; figures are medians over the rounds, ratios are taken within a round. Nothing but the machine's own
network is used, and no server may set the clock. docs/explanation/speed.md says what the figures mean.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from tests.bench.load import wire
from tests.bench.load.measuring import LOOPBACK, OTHERS, Conditions, Measurement, Way
from tests.bench.load.report import report
from tests.bench.load.servers import (
    FORGETFUL,
    ROOM,
    SERVERS,
    SPECIAL,
    WIRED,
    Running,
    Setting,
    UnavailableError,
    running,
)

MODES = ("saturation", "rate", "clients", "veth")
RATES = (1_000, 20_000, 30_000)
FLOOD = 400_000
"""Requests a second over the wire, which no server on sockets can answer."""
SIZES = (1_000, 10_000, 100_000, 1_000_000)
USUAL_CLIENTS = 256
TABLE = 100_000
"""Clients that are remembered: our default."""
IN_FLIGHT = ["--window=256"]
TRIES = 3
"""Measurements at most where others disturb."""
STAGE = "NTP_USG_BENCH_STAGE"


class Bench:
    """Runs the modes and keeps what was found."""

    def __init__(self, options: argparse.Namespace) -> None:
        cores = sorted(os.sched_getaffinity(0))
        self.options = options
        self.server_core, generator_core = cores[-1], cores[0]
        self.conditions = Conditions(generator_core, options.patience)
        self.found: list[Measurement] = []
        self._unavailable: set[str] = set()

    def run(self) -> None:
        """What was chosen; what cannot be measured here is left out."""
        chosen = {*self.options.modes}
        parts = {self.loopback: {"saturation", "rate"}, self.clients: {"clients"}, self.veth: {"veth"}}
        for part, modes in parts.items():
            try:
                if chosen & modes:
                    part()
            except (OSError, subprocess.CalledProcessError) as error:
                say(f"{', '.join(modes)}: cannot be measured here: {error}")

    def loopback(self) -> None:
        """As much as is answered with a bounded number under way, and at fixed rates."""
        for number, server in self._servers("loopback", without=WIRED):
            if "saturation" in self.options.modes:
                self._measure("saturation", server, number, [*self._seconds(), *IN_FLIGHT])
            for rate in self.options.rates if "rate" in self.options.modes else ():
                self._measure(f"rate {rate}", server, number, [*self._seconds(), f"--rate={rate}"])

    def clients(self) -> None:
        """More and more clients: all of them for the first time, then again and again."""
        without = WIRED | FORGETFUL
        for number, server in self._servers("clients", table=ROOM * max(self.options.sizes), without=without):
            for size in self.options.sizes:
                clients = [f"--clients={size}", *IN_FLIGHT]
                once = [*clients, f"--requests={size}", "--seconds=60"]
                self._measure(f"clients {size} first", server, number, once, tries=1)  # nobody is new twice
                self._measure(f"clients {size}", server, number, [*clients, *self._seconds()])

    def veth(self) -> None:
        """Over a wire between two network namespaces, receiving on the server's core: saturation, and too much."""
        niceness = self.options.receiving_nice
        with wire.open_wire(self.server_core, self.conditions.generator_core, niceness) as between:
            way = Way(generator=["tests.bench.load.frames", f"--holder={between.holder}"], threads=between.threads)
            for number, server in self._servers("veth"):
                self._measure("veth", server, number, [*self._seconds(), "--window=128"], way)
                self._measure(f"flood {FLOOD}", server, number, [*self._seconds(), f"--rate={FLOOD}"], way)

    def _seconds(self) -> list[str]:
        return [f"--seconds={self.options.seconds}"]

    def _servers(
        self, mode: str, *, table: int = TABLE, without: Collection[str] = ()
    ) -> Iterator[tuple[int, Running]]:
        """Each round all of them, beginning with another one each time."""
        names = [name for name in self.options.servers if name not in without]
        for number in range(self.options.rounds):
            first = number % max(len(names), 1)
            for name in names[first:] + names[:first]:
                if name in self._unavailable:
                    continue
                try:
                    with self._running(name, table) as server:
                        yield number, server
                except UnavailableError as error:
                    self._unavailable.add(name)
                    say(f"{mode}: without {name}: {error}")

    @contextmanager
    def _running(self, name: str, table: int) -> Iterator[Running]:
        with (
            tempfile.TemporaryDirectory() as folder,
            running(name, Setting(folder=Path(folder), clients=table), self.server_core) as server,
        ):
            yield server

    def _measure(
        self,
        mode: str,
        server: Running,
        number: int,
        arguments: Sequence[str],
        way: Way = LOOPBACK,
        tries: int = TRIES,
    ) -> None:
        if not any(argument.startswith("--clients") for argument in arguments):
            arguments = [*arguments, f"--clients={USUAL_CLIENTS}"]
        found = self.conditions.measure(mode, server, number, arguments, way, tries)
        self.found.append(found)
        say(
            f"{mode}, round {number + 1} of {self.options.rounds}: {server.name} {found.rate:,.0f}/s, "
            f"{found.cpu:,.0f} ns an answer, busy {found.server_busy:.0%}, generator {found.generator_busy:.0%}"
            + (f", others {found.others:.0%}" if found.others > OTHERS else "")
        )


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def machine() -> dict[str, object]:
    """Where it was measured."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "kernel": platform.release(),
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def enter_stage() -> None:
    """Begin again in a network of our own, with port 123 free, and a view of the files that others do not share."""
    if STAGE not in os.environ:
        own_user = [] if os.geteuid() == 0 else ["--map-root-user"]
        command = ["unshare", *own_user, "--net", "--mount", sys.executable, "-m", "tests.bench.throughput"]
        os.execvpe(command[0], [*command, *sys.argv[1:]], {**os.environ, STAGE: "1"})
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench throughput", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modes", nargs="*", help=f"what to measure: {', '.join(MODES)}; all unless given")
    parser.add_argument("--servers", type=lambda text: text.split(","), help=f"as ours,chrony, of {', '.join(SERVERS)}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    parser.add_argument("--rates", type=numbers, default=RATES, help="as 1000,20000: requests a second")
    parser.add_argument("--sizes", type=numbers, default=SIZES, help="as 1000,1000000: numbers of clients")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds to spend on waiting for a quiet machine")
    parser.add_argument("--receiving-nice", type=int, default=-20, help="of the thread that receives for the server")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--require", action="store_true", help="fail where a promise is not kept")
    options = parser.parse_args()
    options.modes = options.modes or list(MODES)
    options.servers = options.servers or [server for server in SERVERS if server not in SPECIAL]
    for wanted, known in ((options.modes, MODES), (options.servers, SERVERS)):
        if unknown := [name for name in wanted if name not in known]:
            parser.error(f"there is no {unknown[0]!r}; there are: {', '.join(known)}")
    return options


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def main() -> None:
    options = parse()
    enter_stage()
    bench = Bench(options)
    try:
        bench.run()
    except KeyboardInterrupt:
        say("Stopped: what was found until now follows.")
    text, kept = report(bench.found)
    print(text)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(), "runs": [asdict(each) for each in bench.found]}, indent=1) + "\n"
        )
    if options.require and not kept:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
