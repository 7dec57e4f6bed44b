"""The real engine in our own simulator, in a cell's condition."""

import multiprocessing
from collections.abc import Sequence

from tests.bench.cells.cells import Cell
from tests.bench.cells.measures import Track
from tests.bench.cells.progress import watched
from tests.bench.cells.table import HEADING, lines, measure, show

from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation


def track(cell: Cell, seed: int) -> Track:
    """One client's run."""
    simulation = Simulation(Scenario.model_validate(cell.condition.scenario()), seed)
    simulation.run()
    (recorder,) = simulation.recorders
    times, errors = recorder.times, recorder.errors
    return Track(times, errors, recorder.bounds, times, recorder.clock_errors, recorder.host.packets)


def run_one(job: tuple[Cell, int]) -> list[float]:
    """The figures of one seed, in the order of the cell's goals."""
    cell, seed = job
    return measure(cell, track(cell, seed))


def print_table(cells: Sequence[Cell], seeds: int, *, as_json: bool) -> list[str]:
    """Measure the cells and print a line for each goal; returns the lines that miss what is wanted."""
    if not as_json:
        print(HEADING)
    missed = []
    with multiprocessing.Pool() as pool:
        jobs = [(cell, seed) for cell in cells for seed in range(1, seeds + 1)]
        results = watched(pool.imap(run_one, jobs, chunksize=1), len(jobs), "runs")
        for cell in cells:
            runs = [next(results) for _ in range(seeds)]
            missed += show(lines(cell, {"ours": runs}), as_json=as_json)
    return missed
