"""Both daemons, ours and Debian's chronyd, in the cells of `script/bench accuracy`, under clknetsim.

It fetches nothing: CLKNETSIM names the folder of a built clknetsim (docs/how-to/run-under-clknetsim.md), `script/setup
--system` unpacks chronyd, and the shim and a probe are compiled into a temporary folder. The same seed gives both the
same clock. Errors and bounds are those of answers to a probe on a third node with a perfect clock.

A simulation of 100,000 s takes some 5 s of one core, all cells with two seeds about 15 minutes. Exit code 2 where
something is missing.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.bench.cells.arguments import count, pattern
from tests.bench.cells.cells import CELLS, Cell
from tests.bench.cells.clknetsim import CHRONYD, SERVERS, Tools, UnavailableError, tools, track
from tests.bench.cells.progress import watched
from tests.bench.cells.table import HEADING, lines, measure, show

EX_USAGE = 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench clknetsim", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=count, default=5, help="clocks in each cell")
    parser.add_argument(
        "--cells",
        metavar="PATTERN",
        type=pattern,
        default="",
        help="only those whose name this regular expression finds",
    )
    parser.add_argument("--servers", default="ours,chrony", help="ours, chrony, or both with a comma")
    parser.add_argument("--jobs", type=count, default=os.cpu_count(), help="simulations at a time")
    parser.add_argument("--require", action="store_true", help="exit with 1 and a list where a wanted figure is missed")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, cells: Sequence[Cell], servers: Sequence[str], found: Tools) -> list[str]:
    """All simulations, and a line for each goal as soon as its cell is through; returns the lines that are missed."""

    def one(job: tuple[Cell, str, int]) -> list[float]:
        cell, server, seed = job
        return measure(cell, track(cell.condition, server, seed, found))

    jobs = [(cell, server, seed) for cell in cells for server in servers for seed in range(1, options.seeds + 1)]
    missed = []
    with ThreadPoolExecutor(options.jobs) as pool:
        results = watched(pool.map(one, jobs), len(jobs), "simulations")
        for cell in cells:
            runs = {server: [next(results) for _ in range(options.seeds)] for server in servers}
            missed += show(lines(cell, runs), as_json=options.json)
    return missed


def check(cells: Sequence[Cell], servers: Sequence[str]) -> None:
    """Raise UnavailableError where there is nothing to measure."""
    if not cells:
        raise UnavailableError("No cell has such a name.")
    if not set(servers) <= set(SERVERS):
        raise UnavailableError(f"--servers takes {' and '.join(SERVERS)}.")
    if not CHRONYD.is_file():
        raise UnavailableError("There is no chronyd: sudo script/setup --system unpacks it.")


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    servers = options.servers.split(",")
    cells = [cell for cell in CELLS if options.cells.search(cell.name)]
    try:
        check(cells, servers)
        with tools() as found:
            if not options.json:
                print(HEADING)
            missed = run(options, cells, servers, found)
    except UnavailableError as error:
        print(f"script/bench clknetsim: {error}", file=sys.stderr)
        raise SystemExit(EX_USAGE) from None
    if missed:
        print("\nMissed:", *missed, sep="\n  ", file=sys.stderr)
        raise SystemExit(int(options.require))


if __name__ == "__main__":
    main()
