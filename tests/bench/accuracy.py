"""How well a clock is kept with one server or one reference clock, beside chrony, ntpd, and the limit.

`estimator`: the estimators alone. Each run is a clock of its own, whose frequency walks at random; it follows the
estimate from update to update. Figures are microseconds, root mean square. The limit is a Kalman filter that is told
the true wander and each sample's true variance, on the same samples. Poll is the mean interval in seconds; honesty the
mean square of error / stated deviation (1 is honest, more is boastful).

`engine`: the whole engine in the simulator, where servers differ: one-sided queues, steps, outages, cold starts.
chrony's figures there are those of its daemon under clknetsim; `script/bench clknetsim` measures both daemons.

Eight seeds of both take half an hour on two cores; one seed of `engine` two minutes.
"""

import argparse
import sys
from collections.abc import Sequence

from tests.bench.cells import engine, estimators
from tests.bench.cells.arguments import count, pattern
from tests.bench.cells.cells import CELLS

EX_USAGE = 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", choices=("estimator", "engine"), help="only this one")
    parser.add_argument("--seeds", type=count, default=8, help="clocks in each cell")
    parser.add_argument(
        "--cells",
        metavar="PATTERN",
        type=pattern,
        default="",
        help="only those whose name this regular expression finds",
    )
    parser.add_argument(
        "--cell",
        type=int,
        action="append",
        metavar="NUMBER",
        choices=range(len(estimators.CELLS)),
        help="only these lines of `estimator`, counted from 0",
    )
    parser.add_argument("--require", action="store_true", help="exit with 1 and a list where a wanted figure is missed")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    wanted = options.cells.search
    first = [estimators.CELLS[index] for index in options.cell or []]
    first = first or [cell for cell in estimators.CELLS if options.part != "engine" and wanted(cell.name)]
    second = [cell for cell in CELLS if options.part != "estimator" and not options.cell and wanted(cell.name)]
    if not first and not second:
        print("script/bench accuracy: No cell has such a name.", file=sys.stderr)
        raise SystemExit(EX_USAGE)
    missed: list[str] = []
    if first:
        above = estimators.print_table(first, options.seeds, as_json=options.json)
        missed += [f"{above} of {len(first)} lines of the estimators are above {estimators.GOAL} of chrony's"] * (
            above > 0
        )
    if second:
        missed += engine.print_table(second, options.seeds, as_json=options.json)
    if missed:
        print("\nMissed:", *missed, sep="\n  ", file=sys.stderr)
        raise SystemExit(int(options.require))


if __name__ == "__main__":
    main()
