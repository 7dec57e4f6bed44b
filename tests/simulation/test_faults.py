"""What goes wrong with a station's receiver, when the engine sees it, and what clients are told meanwhile.

`pytest -s tests/simulation/test_faults.py` prints the table of docs/explanation/trust.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from ntp_usg.core.base.actions import Level
from ntp_usg.core.base.snapshots import Leap
from ntp_usg.simulate.simulation import Simulation

AT = 400
"""Seconds after the start when the fault begins: the clock has been locked for some minutes then."""
END = 1000


@dataclass(frozen=True)
class Fault:
    """A row: what happens, by which word of the journal it is known, and what must be kept."""

    name: str
    events: tuple[dict[str, Any], ...]
    word: str
    """In the journal line that shows that the engine has noticed."""
    within: float
    """Seconds."""
    servers: str = ""
    phase: str = "holdover"
    """At the end."""


def event(what: str, **keys: Any) -> dict[str, Any]:
    return {"at": AT, "what": what, "host": "station", **keys}


UNPLUGGED = event("lose", thing="pulses"), event("lose", thing="messages")
RAMP = event("spoof", ramp=1e-6)
FAULTS = [
    Fault("unplugged", UNPLUGGED, "PPS signal lost", 4),
    Fault("unplugged, three servers", UNPLUGGED, "PPS signal lost", 4, "abc", phase="synchronised"),
    Fault("garbage, or another baud rate", (event("garble"),), "GPS fix lost", 7),
    Fault("time stands still", (event("freeze"),), "GPS fix lost", 8),
    Fault("2D fix", (event("say", dimensions=2),), "2D fix", 2, phase="synchronised"),
    Fault("PDOP 25", (event("say", pdop=25.0),), "PDOP 25.0", 2, phase="synchronised"),
    Fault("no satellites", (event("lose", thing="sky"),), "GPS fix lost", 7),
    Fault("position off by 3 km", (event("say", moved_m=3000.0),), "moved by 3000 m", 7),
    Fault("receiver suspects forgery", (event("say", doubt="spoofing", severe=True),), "doubt: said so", 2),
    Fault("spoofed ramp of 1 us/s", (RAMP,), "runs off by at least", 16),
    Fault("spoofed ramp of 1 us/s, three servers", (RAMP,), "runs off by at least", 16, "abc", "synchronised"),
    # A forged jump of exactly a second looks like a receiver's correction: nobody knows, and nothing is promised.
    Fault("spoofed jump of 1 s", (event("spoof", jump=1.0),), "jumped by", 5, phase="unsynchronised"),
    Fault("spoofed jump of 1 s, three servers", (event("spoof", jump=1.0),), "jumped by", 5, "abc", "synchronised"),
    Fault("spoofed jump of 0.3 s", (event("spoof", jump=0.3),), "jumped by", 5),
    Fault("spoofed jump of 20 us", (event("spoof", jump=20e-6),), "jumped by", 5, phase="synchronised"),
    Fault("1024 weeks back", (event("wrong_second", seconds=-1024 * 7 * 86400),), "GPS fix lost", 8),
    Fault("1024 weeks ahead", (event("wrong_second", seconds=1024 * 7 * 86400),), "jumped by", 6),
    Fault("leap announced falsely", (event("say", leap=1),), "Leap second", 62, "abc", "synchronised"),
]


@dataclass(frozen=True)
class Outcome:
    """What the engine made of it."""

    detected: float
    phases: str
    stratum: int
    leaps: set[Leap]
    worst_error: float
    promise: float
    """The largest one that was made."""
    violations: int


def watch(simulation: Simulation) -> Iterator[tuple[float, Leap]]:
    """Run on, second by second."""
    for second in range(END + 1):
        simulation.world.run(simulation.world.start + second * 10**9)  # type: ignore[arg-type]
        yield second, simulation.host("station").engine.serving().leap


def run(fault: Fault, build: Any) -> Outcome:
    simulation = build(*fault.events, servers=fault.servers, duration=END)
    leaps = {leap for second, leap in watch(simulation) if second > AT}
    noticed = (
        (each.at - simulation.world.start) / 1e9 - AT
        for each in simulation.journal
        if each.level in (Level.WARNING, Level.INFO) and fault.word in each.text
    )
    points = [point for point in simulation.recorders[0].points() if point[0] >= AT]
    snapshot = simulation.host("station").engine.snapshot()
    return Outcome(
        detected=next((seconds for seconds in noticed if seconds >= 0), math.inf),
        phases=snapshot.phase,
        stratum=snapshot.serving.stratum,
        leaps=leaps,
        worst_error=max(abs(error) for _, error, _, _ in points),
        promise=max((bound for _, _, bound, _ in points if not math.isnan(bound)), default=math.inf),
        violations=sum(abs(error) > bound for _, error, bound, _ in points),
    )


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    lines: list[str] = []
    yield lines
    print("\n| Fault | Seen after | Then | Stratum | Worst error | Largest bound | Bound broken |")
    print("|---|---:|---|---:|---:|---:|---:|")
    print(*lines, sep="\n")


@pytest.mark.parametrize("fault", FAULTS, ids=[each.name for each in FAULTS])
def test_a_fault_is_seen_in_time_and_the_promise_is_kept(build_station, table, fault):
    outcome = run(fault, build_station)
    table.append(
        f"| {fault.name} | {outcome.detected:.0f} s | {outcome.phases} | {outcome.stratum} "
        f"| {outcome.worst_error * 1e6:.1f} us | {outcome.promise * 1e6:.1f} us | {outcome.violations} s |"
    )
    assert outcome.detected <= fault.within
    assert outcome.violations == 0
    assert outcome.phases == fault.phase
    assert outcome.leaps <= ({Leap.NONE, Leap.UNSYNCHRONISED} if fault.phase == "unsynchronised" else {Leap.NONE})


def test_when_the_forgery_has_ended_the_station_comes_back_without_a_step(build_station):
    simulation = build_station(event("spoof", ramp=1e-6, **{"for": 120}), duration=END)
    (figures,) = simulation.run()
    snapshot = simulation.host("station").engine.snapshot()
    assert (snapshot.phase, snapshot.selected, figures.steps) == ("synchronised", "PPS(0)", 1)
    assert figures.bound_violated == 0
    assert abs(simulation.recorders[0].errors[-1]) < 1e-6
