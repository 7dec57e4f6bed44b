"""How far clocks drift in 24 hours without a reference, beside what was promised and beside a constant frequency.

Each run is a crystal of its own: learned for a day of lock, then left alone for a day.
"""

import argparse
import json
import math
import multiprocessing
import statistics
from dataclasses import asdict, dataclass
from random import Random

from ntp_usg.core.algorithms.estimator import Estimate
from ntp_usg.core.algorithms.holdover import HoldoverModel
from ntp_usg.core.base.instants import NS_PER_SECOND, RawNs, WallNs
from ntp_usg.simulate.oscillators import Oscillator, OscillatorSettings

STEP = 60
HOUR = 3600
DAY = 24 * HOUR
PULSE_NOISE = 1e-6
RATE_DEVIATION = PULSE_NOISE * math.sqrt(12 / 64**3)
"""Of a line through 64 pulses."""
OFFSET_DEVIATION = 2 * PULSE_NOISE / math.sqrt(64)
ROOM_MEAN = 24.0


@dataclass(frozen=True, slots=True)
class Run:
    """One crystal; seconds, errors without sign, at each of the hours that are shown."""

    contained: float
    errors: list[float]
    bounds: list[float]
    constant: list[float]
    mean: list[float]


def crystal(random: Random, kind: str) -> OscillatorSettings:
    """An oscillator of its kind.

    `room` is an uncompensated crystal in a room with days and nights, `quiet` one in a room without, `walk` the pure
    random walk (1 ppb in a second) of clock simulators, `oven` an oven-controlled crystal.
    """
    if kind == "oven":
        return OscillatorSettings(
            frequency_ppm=random.gauss(0, 0.1),
            wander_ppb=0.0005,
            flicker_ppb=0.01,
            ageing_ppb=random.gauss(0, 0.5),
            temperature_swing=random.uniform(2, 5),
            temperature_noise=0.5,
            slope_ppb=random.uniform(-0.1, 0.1),
        )
    if kind == "walk":
        return OscillatorSettings(frequency_ppm=random.gauss(0, 20), wander_ppb=1.0)
    daily = kind != "quiet"
    return OscillatorSettings(
        frequency_ppm=random.gauss(0, 20),
        wander_ppb=0.03 * math.exp(random.gauss(0, 0.7)),
        flicker_ppb=2.0 * math.exp(random.gauss(0, 0.5)),
        ageing_ppb=random.gauss(0, 5),
        temperature_swing=random.uniform(1.5, 5) if daily else 0.0,
        temperature_noise=random.uniform(0.2, 1.0) if daily else 0.1,
        temperature_noise_time=random.uniform(0.3, 3) * HOUR,
        slope_ppb=random.choice((-1, 1)) * random.uniform(50, 100),
        curvature_ppb=random.gauss(0, 3),
    )


def simulate(seed: int, kind: str, *, sensor: bool, lock: float, hours: tuple[int, ...]) -> Run:
    """A lock, a loss, and what was promised beside what came."""
    random = Random(seed)
    start = WallNs(random.randrange(10**6) * DAY * NS_PER_SECOND)
    oscillator = Oscillator(crystal(random, kind), start, random, step=STEP)
    model = HoldoverModel()
    begin = random.randrange(DAY // STEP) * STEP

    def offset_ns(second: float) -> tuple[RawNs, int]:
        true = WallNs(start + round(second * NS_PER_SECOND))
        raw = oscillator.reading(true)
        return raw, true - raw

    def temperature(second: float) -> float | None:
        if not sensor:
            return None
        kelvin = oscillator.temperature(WallNs(start + round(second * NS_PER_SECOND)))
        return round((ROOM_MEAN + kelvin + random.gauss(0, 0.1)) * 4) / 4

    rates = []
    loss = begin + int(lock * HOUR)
    for second in range(begin + STEP, loss + 1, STEP):
        (before, first), (raw, last) = offset_ns(second - STEP), offset_ns(second)
        rates.append((last - first) / (raw - before) + random.gauss(0, RATE_DEVIATION))
        model.learn(raw, rates[-1], RATE_DEVIATION, temperature(second))
    lost_at, offset = offset_ns(loss)
    known = offset + round(random.gauss(0, OFFSET_DEVIATION) * 1e9)
    model.begin(lost_at, Estimate(known, rates[-1], OFFSET_DEVIATION, PULSE_NOISE, RATE_DEVIATION))
    mean = statistics.fmean(rates)
    inside, errors, bounds, constant, average = 0, [], [], [], []
    for second in range(loss + STEP, loss + DAY + 1, STEP):
        raw, offset = offset_ns(second)
        estimate = model.predict(raw, temperature(second))
        error = abs(estimate.offset_ns - offset) * 1e-9
        inside += error <= 3 * estimate.deviation
        if second - loss in {hour * HOUR for hour in hours}:
            errors.append(error)
            bounds.append(3 * estimate.deviation)
            constant.append(abs(known + rates[-1] * (raw - lost_at) - offset) * 1e-9)
            average.append(abs(known + mean * (raw - lost_at) - offset) * 1e-9)
    return Run(inside / (DAY // STEP), errors, bounds, constant, average)


@dataclass(frozen=True, slots=True)
class Case:
    """A line of the table."""

    kind: str
    sensor: bool
    lock: float

    @property
    def name(self) -> str:
        return f"{self.kind}, {self.lock:g} h lock, {'sensor' if self.sensor else 'no sensor'}"


CASES = [
    Case("room", sensor=False, lock=24),
    Case("room", sensor=True, lock=24),
    Case("room", sensor=False, lock=72),
    Case("room", sensor=False, lock=1),
    Case("quiet", sensor=False, lock=24),
    Case("walk", sensor=False, lock=24),
    Case("oven", sensor=False, lock=24),
]
HOURS = (1, 4, 12, 24)


def run_one(job: tuple[Case, int]) -> Run:
    case, seed = job
    return simulate(seed, case.kind, sensor=case.sensor, lock=case.lock, hours=HOURS)


def summary(case: Case, runs: list[Run]) -> list[dict[str, object]]:
    """Medians in seconds at each hour."""
    rows: list[dict[str, object]] = []
    for index, hour in enumerate(HOURS):
        median = {
            name: statistics.median(getattr(run, name)[index] for run in runs)
            for name in ("errors", "bounds", "constant", "mean")
        }
        inside = statistics.fmean(run.errors[index] <= run.bounds[index] for run in runs)
        contained = statistics.fmean(run.contained for run in runs)
        rows.append({"case": asdict(case), "hours": hour, "inside": inside, "contained": contained, **median})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench holdover", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="crystals in each case")
    parser.add_argument("--first-seed", type=int, default=1000, help="the model was tuned on seeds 0 to 39")
    parser.add_argument("--case", type=int, action="append", help="only these lines of the table, counted from 0")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    cases = [CASES[index] for index in options.case] if options.case else CASES
    if not options.json:
        print("Medians. Error: ours; beside it the last frequency kept, and the mean frequency of the lock kept.")
        print(f"{'':27}{'hours':>6}{'error':>10}{'bound':>10}{'last':>10}{'mean':>10}  bound/error  in bound")
    with multiprocessing.Pool() as pool:
        for case in cases:
            runs = pool.map(
                run_one,
                [(case, seed) for seed in range(options.first_seed, options.first_seed + options.seeds)],
                chunksize=1,
            )
            for row in summary(case, runs):
                if options.json:
                    print(json.dumps(row))
                else:
                    print(_line(case, row))


def _line(case: Case, row: dict[str, object]) -> str:
    error, bound, constant, mean, contained = (
        float(str(row[name])) for name in ("errors", "bounds", "constant", "mean", "contained")
    )
    figures = "".join(f"{1e3 * value:8.3f}ms" for value in (error, bound, constant, mean))
    return f"{case.name:27}{row['hours']:>6}{figures}{bound / error:12.1f}{100 * contained:9.2f}%"


if __name__ == "__main__":
    main()
