"""Messages number pulses rightly or not at all, whatever a serial line does to them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, RawNs, WallNs, nanoseconds
from ntp_usg.core.engine.numbering import EARLY, Agreement, Naming, Numbering

TRUE_MINUS_RAW = 1_790_000_000 * NS_PER_SECOND + 420_000_000
DRIFT = 50e-6
Draw = Callable[[random.Random], float]
SHAPES: dict[str, Callable[[float], Draw]] = {
    "exponential": lambda jitter: lambda source: source.expovariate(1 / jitter),
    "uniform": lambda jitter: lambda source: source.uniform(-jitter, jitter),
    "normal": lambda jitter: lambda source: source.gauss(0, jitter),
}


def raw_at(true_ns: int) -> RawNs:
    """A host clock that runs too fast."""
    raw = true_ns - TRUE_MINUS_RAW
    return RawNs(raw + round(DRIFT * raw))


def delay(draw: Draw, source: random.Random, latency: float) -> float:
    return min(max(0.0, latency + draw(source)), 1.4)


@dataclass
class Station:
    """Pulses and messages of so many seconds in the order in which they come; `count` is the latest pulse's number."""

    numbering: Numbering = field(default_factory=Numbering)
    second: int = TRUE_MINUS_RAW // NS_PER_SECOND
    wrong: int = 0
    numbered: int = 0
    agreements: list[Agreement] = field(default_factory=list)

    def run(self, seconds: int, latency: Callable[[], float], ahead: float = 0.0, stated: float = 0.0) -> None:
        events: list[tuple[float, int]] = []
        for second in range(self.second, self.second + seconds):
            events += [(second, 0), (second + latency(), second)]
        self.second += seconds
        for at, named in sorted(events):
            raw = raw_at(nanoseconds(at % 1) + int(at) * NS_PER_SECOND)
            if named == 0:
                self.pulse(raw, int(at))
            else:
                instant = WallNs(named * NS_PER_SECOND + nanoseconds(ahead))
                naming = Naming(second=instant, received_at=raw, latency=stated)
                self.agreements.append(self.numbering.message("GPS(0)", naming).agreement)
                if self.agreements[-1] is Agreement.DISPROVED:
                    self.numbering = Numbering()

    def pulse(self, raw: RawNs, true_second: int) -> None:
        offset_ns = self.numbering.edge(raw, None)
        if offset_ns is not None:
            self.numbered += 1
            self.wrong += raw + offset_ns != true_second * NS_PER_SECOND


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("jitter", [3e-3, 50e-3, 100e-3])
@pytest.mark.parametrize("latency", [0.0, 0.02, 0.35, 0.5, 0.9, 0.97, 0.99])
def test_messages_within_a_second_number_the_right_pulse_or_none(latency, jitter, shape):
    wrong = 0
    for seed in range(6):
        source = random.Random(f"{seed} {latency} {jitter} {shape}")
        draw = SHAPES[shape](jitter)
        station = Station()
        station.run(40, partial(delay, draw, source, latency))
        wrong += station.wrong > 0
    assert wrong == 0


def test_messages_later_than_a_second_number_the_right_pulse_where_the_latency_is_stated():
    source, station = random.Random(1), Station()
    station.run(60, lambda: 1.4 + source.uniform(-0.1, 0.1), stated=1.4)
    assert (station.wrong, station.numbered > 50) == (0, True)


@pytest.mark.parametrize("stated", [-0.02, -0.3, -0.9, 2.6, 4.0])
def test_a_stated_latency_is_respected(stated):
    source, station = random.Random(1), Station()
    station.run(60, lambda: 5 + stated + source.uniform(-0.05, 0.05), ahead=5, stated=stated)
    assert (station.wrong, station.numbered > 40) == (0, True)
    assert Agreement.DISPUTED not in station.agreements


def test_a_count_that_messages_come_before_is_disproved():
    source, station = random.Random(1), Station()
    station.numbering.edge(raw_at(station.second * NS_PER_SECOND), TRUE_MINUS_RAW - NS_PER_SECOND)
    station.run(60, lambda: 0.97 + source.uniform(0, 0.06), ahead=0)
    assert Agreement.DISPROVED in station.agreements
    station.wrong = 0
    station.run(60, lambda: 0.97 + source.uniform(0, 0.06))
    assert station.wrong == 0


def test_stamps_that_differ_by_a_little_disprove_nothing():
    station = Station()
    station.run(60, lambda: 0.01)
    station.run(60, lambda: -EARLY / 2)
    assert Agreement.DISPROVED not in station.agreements


@pytest.mark.parametrize("fraction", [0.1, 0.3, 0.5, 0.99])
def test_an_instant_off_the_whole_second_numbers_the_pulse_before_it(fraction):
    source, station = random.Random(1), Station()
    station.run(30, lambda: fraction + 0.12 + source.uniform(0, 5e-3), ahead=fraction)
    assert (station.wrong, station.numbered > 20) == (0, True)


def test_a_line_that_falls_behind_is_late_and_no_correction():
    station = Station()
    station.run(30, lambda: 0.1)
    station.run(30, lambda: 0.6)
    assert Agreement.DELAYED in station.agreements
    assert station.agreements[-1] is Agreement.AGREED
    assert station.wrong == 0


@pytest.mark.parametrize("ahead", [-3, -1, 1, 18])
def test_names_that_move_by_whole_seconds_are_told_from_lateness(ahead):
    numbering = Numbering()
    for second in range(20):
        numbering.edge(raw_at(TRUE_MINUS_RAW + second * NS_PER_SECOND), None)
        named = WallNs(
            TRUE_MINUS_RAW // NS_PER_SECOND * NS_PER_SECOND + (second + (ahead if second > 9 else 0)) * NS_PER_SECOND
        )
        arrival = raw_at(TRUE_MINUS_RAW + second * NS_PER_SECOND + 120_000_000)
        pairing = numbering.message("GPS(0)", Naming(second=named, received_at=arrival))
    assert (pairing.agreement, pairing.ahead) == (Agreement.DISPUTED, ahead)
