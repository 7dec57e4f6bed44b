"""The estimators alone, beside each other and beside the limit: see `script/bench accuracy --help`."""

import json
import math
import multiprocessing
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random

from ntp_usg.core.algorithms.clock_filter import LoopEstimator
from ntp_usg.core.algorithms.estimator import Estimate, Estimator, NoiseModel
from ntp_usg.core.algorithms.history import SampleHistory
from ntp_usg.core.algorithms.kalman import KalmanEstimator
from ntp_usg.core.algorithms.kalman_filter import Filter
from ntp_usg.core.algorithms.line_fit import SlopePrior
from ntp_usg.core.algorithms.poll import PollControl
from ntp_usg.core.algorithms.sample_noise import SampleNoise
from ntp_usg.core.base.instants import WallNs, nanoseconds, seconds
from ntp_usg.core.base.samples import Sample
from ntp_usg.core.engine.network_source import NETWORK_NOISE
from ntp_usg.core.engine.pulse_line import PULSE_NOISE
from ntp_usg.simulate.oscillators import Oscillator, OscillatorSettings

GOAL = 0.8
HEADING = (
    f"{'':52}{'ours (kalman)':>15}{'limit':>9}{'chrony':>11}{'ntpd':>6}{'ratio':>7}"
    f"{'regress.':>9}{'pll':>9}{'poll':>6}{'honesty':>9}"
)
BASE_DELAY = 100e-6
"""Each way, before jitter."""
READINGS = 8
ALGORITHMS: dict[str, Callable[[NoiseModel], Estimator]] = {
    "kalman": KalmanEstimator,
    "regression": SampleHistory,
    "pll": LoopEstimator,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A line of the table: intervals in seconds, what others reached in microseconds."""

    name: str
    wander_ppb: float
    noise: float
    """Mean of the exponential jitter each way, or standard deviation of the white noise of a reference clock."""
    back: float | None = None
    """Mean of the jitter on the way back, where it is another."""
    polls: tuple[int, int]
    """Least and greatest exponent of the poll interval."""
    network: bool
    chrony: tuple[float, ...] = ()
    crystal: str | None = None
    """Another oscillator than the random walk, which nothing was tuned on; there is no limit to compare with then."""
    ntpd: float | None = None
    length: float = 100_000.0
    settle: float = 20_000.0


def network_cells(
    name: str, wander_ppb: float, polls: tuple[int, int], chrony: Sequence[tuple[float, ...]], ntpd: tuple[float, ...]
) -> list[Cell]:
    """One server, four jitters; a tuple each of chrony's figures and ntpd's, where those are known."""
    return [
        Cell(
            name=f"{name}, jitter {1e6 * noise:g} us",
            wander_ppb=wander_ppb,
            noise=noise,
            polls=polls,
            network=True,
            chrony=theirs,
            ntpd=ntpd[number] if ntpd else None,
        )
        for number, (noise, theirs) in enumerate(zip((1e-5, 1e-4, 1e-3, 1e-2), chrony, strict=True))
    ]


def unequal_cells(there: float, back: float, chrony: tuple[float, ...]) -> list[Cell]:
    """One server whose queues are not the same on both ways, with adaptive polls and with polls of 64 s."""
    jitter = f"wander 1 ppb/s, jitter {1e6 * there:g}/{1e6 * back:g} us"
    adaptive = Cell(
        name=f"(1) poll 64-1024 s, {jitter}",
        wander_ppb=1.0,
        noise=there,
        back=back,
        polls=(6, 10),
        network=True,
        chrony=chrony[:1],
    )
    return [adaptive, replace(adaptive, name=f"(1) poll 64 s, {jitter}", polls=(6, 6), chrony=chrony[1:])]


def reference_cells(wander_ppb: float, poll: int, chrony: tuple[float, ...]) -> list[Cell]:
    """A reference clock with a sample each second, which corrects the clock at the poll interval."""
    return [
        Cell(
            name=f"refclock, wander {wander_ppb:g} ppb/s, poll {2**poll} s, noise {1e6 * noise:g} us",
            wander_ppb=wander_ppb,
            noise=noise,
            polls=(poll, poll),
            network=False,
            chrony=(figure,),
            length=10_000.0,
            settle=2_000.0,
        )
        for noise, figure in zip((1e-7, 1e-6, 1e-5), chrony, strict=True)
    ]


CRYSTALS = {
    "room": OscillatorSettings(
        frequency_ppm=12,
        wander_ppb=0.03,
        flicker_ppb=2,
        ageing_ppb=5,
        temperature_swing=3,
        temperature_noise=0.5,
        slope_ppb=75,
        curvature_ppb=3,
    ),
    "quiet": OscillatorSettings(frequency_ppm=-30, wander_ppb=0.03, flicker_ppb=2, ageing_ppb=5),
    "oven": OscillatorSettings(frequency_ppm=0.1, wander_ppb=0.0005, flicker_ppb=0.01, ageing_ppb=0.5),
}
"""A computer's crystal in a room with days and people, one in a closed box, and one in an oven."""


def crystal_cells(crystal: str) -> list[Cell]:
    """A server on a good network, and pulses."""
    name = f"{crystal} crystal, poll 64-1024 s, jitter 100 us"
    server = Cell(name=name, wander_ppb=0.0, noise=1e-4, polls=(6, 10), network=True, crystal=crystal)
    pulses = f"{crystal} crystal, refclock, poll 4 s, noise 1 us"
    return [
        server,
        replace(server, name=f"{crystal} crystal, poll 64 s, jitter 100 us", polls=(6, 6)),
        replace(server, name=pulses, noise=1e-6, polls=(2, 2), network=False, length=10_000.0, settle=2_000.0),
    ]


CELLS = [
    *network_cells(
        "(1) poll 64-1024 s, wander 1 ppb/s",
        1.0,
        (6, 10),
        ((35, 21), (109, 100), (475, 460), (1603, 1537)),  # as published, and as measured again
        (234, 256, 454, 3665),
    ),
    *network_cells(
        "(2) poll 64 s, wander 10 ppb/s",
        10.0,
        (6, 6),
        ((14, 14), (56, 55), (229, 217), (750, 700)),
        (165, 167, 217, 1467),
    ),
    *reference_cells(1.0, 4, (0.2, 0.4, 2.1)),
    *reference_cells(1.0, 2, (0.1, 0.3, 2.0)),
    *reference_cells(10.0, 4, (1.7, 1.7, 4.3)),
    *reference_cells(10.0, 2, (0.2, 0.7, 3.7)),
    *crystal_cells("room"),
    *crystal_cells("quiet"),
    *crystal_cells("oven"),
    *network_cells("(1) poll 64 s, wander 1 ppb/s", 1.0, (6, 6), ((5.6,), (23.0,), (66.0,), (561.0,)), ()),
    *unequal_cells(1e-3, 0.0, (16.8, 15.9)),
    *unequal_cells(0.0, 1e-3, ()),
    *unequal_cells(1e-3, 0.3e-3, ()),
]


@dataclass(frozen=True, slots=True)
class Run:
    """One clock under one algorithm: root mean square errors in seconds, and how often it asked."""

    error: float
    limit: float
    poll: float
    honesty: float


class Limit:
    """The one filter that knows what the others have to find out."""

    def __init__(self, cell: Cell) -> None:
        self._filter = Filter(process=(cell.wander_ppb * 1e-9) ** 2, reading=0)
        self._latest: Sample | None = None

    def add(self, sample: Sample, variance: float) -> None:
        offset = seconds(sample.offset_ns)
        if self._latest is None:
            self._filter.begin(offset, variance, SlopePrior())
        else:
            self._filter.advance(seconds(sample.at - self._latest.at))
            self._filter.learn(offset, SampleNoise(0.0, math.sqrt(variance)))
        self._latest = sample

    def line(self) -> tuple[float, float]:
        """Offset in seconds at the latest sample, and rate."""
        return self._filter.offset, self._filter.rate


def measure(cell: Cell, oscillator: Oscillator, true: WallNs, random: Random) -> tuple[Sample, float]:
    """A sample at a true instant, and its true variance."""
    raw = oscillator.reading(true)
    if not cell.network:
        return Sample(raw, true - raw + nanoseconds(random.gauss(0, cell.noise)), 0.0), cell.noise**2
    there, back = (
        random.expovariate(1 / mean) if mean else 0.0
        for mean in (cell.noise, cell.noise if cell.back is None else cell.back)
    )
    sample = Sample(raw, true - raw + nanoseconds((there - back) / 2), 0.0, 2 * BASE_DELAY + there + back)
    return sample, (there + back) ** 2 / 12 + 1e-18


def simulate(cell: Cell, algorithm: str, seed: int) -> Run:
    """Keep one clock."""
    random = Random(seed)
    step = 2.0 ** cell.polls[0] / READINGS if cell.network else 1.0
    walk = OscillatorSettings(wander_ppb=cell.wander_ppb)
    oscillator = Oscillator(CRYSTALS[cell.crystal] if cell.crystal else walk, WallNs(0), random, step)
    estimator = ALGORITHMS[algorithm](NETWORK_NOISE if cell.network else PULSE_NOISE)
    limit, control = Limit(cell), PollControl(*cell.polls)
    squares, limit_squares, honesty, polls = [], [], [], []
    elapsed, next_update, estimate = 0.0, 0.0, Estimate(0, 0.0, 1.0, 0.0)
    while elapsed < cell.length:
        sample, variance = measure(cell, oscillator, WallNs(nanoseconds(elapsed)), random)
        reason = estimator.add(sample)
        limit.add(sample, variance)
        interval = 2.0 ** control.update(estimator, reason) if cell.network else 1.0
        if elapsed >= next_update:
            estimate = estimator.estimate(sample.at) or estimate
            (limit_offset, limit_rate), updated_at = limit.line(), sample.at
            next_update = elapsed + 2.0 ** cell.polls[0]
            error = seconds(estimate.offset_ns + sample.at) - elapsed
            if elapsed >= cell.settle:
                honesty.append((error / estimate.deviation) ** 2)
                polls.append(interval)
        for index in range(READINGS if cell.network else 1):
            true = elapsed + interval * (index + 1) / READINGS if cell.network else elapsed + interval
            if true > cell.settle:
                raw = oscillator.reading(WallNs(nanoseconds(true)))
                since, fast = seconds(raw - updated_at), seconds(raw) - true
                squares.append((fast + seconds(estimate.offset_ns) + estimate.rate * since) ** 2)
                limit_squares.append((fast + limit_offset + limit_rate * since) ** 2)
        elapsed += interval
    return Run(
        math.sqrt(statistics.fmean(squares)),
        math.sqrt(statistics.fmean(limit_squares)),
        statistics.fmean(polls) if cell.network else 2.0 ** cell.polls[0],
        statistics.fmean(honesty),
    )


def run_one(job: tuple[Cell, str, int]) -> Run:
    return simulate(*job)


def row(cell: Cell, runs: dict[str, list[Run]]) -> dict[str, object]:
    """Means over the seeds, errors in microseconds; `ratio` is ours to the better of chrony's."""
    errors = {name: [1e6 * run.error for run in them] for name, them in runs.items()}
    ours, kalman = errors["kalman"], runs["kalman"]
    return {
        "cell": asdict(cell),
        **{name: statistics.fmean(them) for name, them in errors.items()},
        "spread": statistics.stdev(ours) if len(ours) > 1 else 0.0,
        "limit": None if cell.crystal or cell.back is not None else 1e6 * statistics.fmean(run.limit for run in kalman),
        "ratio": statistics.fmean(ours) / min(cell.chrony) if cell.chrony else None,
        "poll": statistics.fmean(run.poll for run in kalman),
        "honesty": statistics.fmean(run.honesty for run in kalman),
    }


def line(cell: Cell, figures: dict[str, object]) -> str:
    def number(name: str, form: str) -> str:
        value = figures[name]
        return format(value, form) if isinstance(value, float) else "-"

    chrony = "/".join(f"{figure:g}" for figure in cell.chrony) or "-"
    ntpd = "-" if cell.ntpd is None else f"{cell.ntpd:g}"
    ours = f"{number('kalman', '.3g')} +-{number('spread', '.2g')}"
    return (
        f"{cell.name:52}{ours:>15}{number('limit', '.3g'):>9}{chrony:>11}{ntpd:>6}{number('ratio', '.2f'):>7}"
        f"{number('regression', '.3g'):>9}{number('pll', '.3g'):>9}"
        f"{number('poll', '.0f'):>6}{number('honesty', '.2f'):>9}"
    )


def print_table(cells: Sequence[Cell], seeds: int, *, as_json: bool) -> int:
    """Measure the cells and print a line for each; returns how many are above the goal."""
    if not as_json:
        print(HEADING)
    missed = 0
    with multiprocessing.Pool() as pool:
        for cell in cells:
            jobs = [(cell, name, seed) for name in ALGORITHMS for seed in range(seeds)]
            results = pool.map(run_one, jobs, chunksize=1)
            runs: dict[str, list[Run]] = {name: [] for name in ALGORITHMS}
            for (_, name, _), run in zip(jobs, results, strict=True):
                runs[name].append(run)
            figures = row(cell, runs)
            ours = 1e6 * statistics.fmean(run.error for run in runs["kalman"])
            missed += bool(cell.chrony) and ours > GOAL * min(cell.chrony)
            print(json.dumps(figures) if as_json else line(cell, figures), flush=True)
    return missed
