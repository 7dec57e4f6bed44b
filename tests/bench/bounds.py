"""Whether the error bound holds: probes of many worlds drawn at random, in which most servers tell the truth.

Each world has a seed: one client, one to five servers, queues of every kind, crystals in every weather, and events:
steps of frequency, other routes, outages, liars in the minority, sleep, clocks moved by other programs. A probe is
outside if the answer promises a time, and that is further from the truth than root delay / 2 + root dispersion.
Frequencies are stepped only while a server is heard: nobody can see a step inside an outage (whoever wants a bound that
covers it states 15 ppm, see docs/explanation/holdover.md). Temperature and wander go on in outages, too.

Exit code 1 if any probe is, or if so few are synchronised that the bound holds for want of a promise. 200 worlds have
10^6 probes and take about 10 minutes on two cores.
"""

import argparse
import json
import math
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.cells.arguments import count
from tests.bench.cells.progress import watched
from tests.bench.cells.worlds import Table, draw, write

from ntp_usg.core.base.instants import seconds
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation

LEAST_PROMISED = 0.8
"""A share of the probes; in the worlds that are drawn few outages last longer than a client can bridge."""


@dataclass(frozen=True, slots=True)
class Result:
    """One world. `worst` is the largest error / bound, and `when` it was, in seconds from the start."""

    seed: int
    title: str
    probes: int
    promised: int
    outside: int
    worst: float
    when: float
    median: float
    """Of bound / error."""
    took: float
    """Seconds of processor time."""


def simulate(world: Table) -> Simulation:
    """Let it happen."""
    simulation = Simulation(Scenario.model_validate(world), world["seed"])
    simulation.run()
    return simulation


def run(world: Table) -> Result:
    """Let it happen, and look at what was promised."""
    began = time.process_time()
    (recorder,) = simulate(world).recorders
    promised = [(abs(error), bound, at) for at, error, bound, _ in recorder.points() if not math.isnan(bound)]
    worst, when = max(((error / max(bound, 1e-9), at) for error, bound, at in promised), default=(0.0, 0.0))
    return Result(
        seed=world["seed"],
        title=world["title"],
        probes=len(recorder.times),
        promised=len(promised),
        outside=sum(error > bound for error, bound, _ in promised),
        worst=worst,
        when=when,
        median=statistics.median(bound / max(error, 1e-9) for error, bound, _ in promised) if promised else math.nan,
        took=time.process_time() - began,
    )


def run_seed(seed: int) -> Result:
    return run(draw(seed))


def holds(results: Sequence[Result]) -> bool:
    """Whether what was promised was kept, and enough promised."""
    promised, probes = sum(result.promised for result in results), sum(result.probes for result in results)
    return promised >= LEAST_PROMISED * probes and not any(result.outside for result in results)


def summary(results: Sequence[Result]) -> str:
    """All worlds together."""
    worst = max(results, key=lambda result: result.worst)
    promised, outside = sum(result.promised for result in results), sum(result.outside for result in results)
    broken = sum(result.outside > 0 for result in results)
    median = statistics.median([result.median for result in results if result.promised] or [math.nan])
    return (
        f"{len(results)} worlds, {sum(result.probes for result in results)} probes, {promised} of them synchronised: "
        f"{outside} outside the bound, in {broken} worlds.\n"
        f"Largest error / bound: {worst.worst:.2f} (seed {worst.seed}). Median bound / error: {median:.1f}. "
        f"{statistics.fmean(result.took for result in results):.1f} s of processor time for each world."
    )


def line(result: Result) -> str:
    share = f"{result.outside} of {result.promised} outside"
    again = f"script/bench bounds --seed {result.seed} --scenarios 1 --story"
    return (
        f"seed {result.seed:5}: {share:24} worst {result.worst:9.2f} at {result.when:8.0f} s  ({result.title})  {again}"
    )


def story(world: Table, when: float) -> Iterator[str]:
    """The journal of one world, with error and bound around an instant in seconds from the start."""
    simulation = simulate(world)
    (recorder,) = simulation.recorders
    near = [point for point in recorder.points() if abs(point[0] - when) <= 12 * world["probe"]]
    entries = [
        (seconds(entry.at - simulation.world.start), f"{entry.host}: {entry.text}") for entry in simulation.journal
    ]
    entries += [(at, f"error {1e6 * error:+.1f} us, bound {1e6 * bound:.1f} us") for at, error, bound, _ in near]
    for at, text in sorted(entries, key=lambda entry: entry[0]):
        yield f"{at:12.3f}  {text}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="script/bench bounds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenarios", type=count, default=200, help="so many worlds")
    parser.add_argument("--seed", type=int, default=1, help="of the first of them")
    parser.add_argument("--write", metavar="FILE.toml", type=Path, help="write the first as a scenario file")
    parser.add_argument("--story", action="store_true", help="what happened in the first, and around its largest error")
    parser.add_argument("--all", action="store_true", help="a line for every world, not only for those that fail")
    parser.add_argument("--json", action="store_true", help="one JSON object a line, for every world")
    options = parser.parse_args(arguments)
    if options.write:
        try:
            options.write.write_text(write(draw(options.seed)))
        except OSError as error:
            parser.error(f"{options.write} cannot be written: {error.strerror}")
        print(f"ntp_usg simulate {options.write} runs it, with --picture FILE.png as a picture.")
    results = []
    seeds = range(options.seed, options.seed + options.scenarios)
    with multiprocessing.Pool() as pool:
        for result in watched(pool.imap(run_seed, seeds, chunksize=1), len(seeds), "worlds"):
            results.append(result)
            if options.json:
                print(json.dumps(asdict(result)), flush=True)
            elif result.outside or options.all:
                print(line(result), flush=True)
    if not options.json:
        print(summary(results))
    if options.story:
        print(*story(draw(options.seed), results[0].when), sep="\n")
    raise SystemExit(not holds(results))


if __name__ == "__main__":
    main()
