"""Worlds to run the real engine in, by default like those of chrony's simulation suite."""

from collections.abc import Callable
from typing import Any

import pytest

from ntp_usg.simulate.recorder import Figures
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation

Table = dict[str, Any]

DEFAULTS: Table = {"duration": 10_000, "settled": 2000, "probe": 16, "knots": 16}
CRYSTAL: Table = {"offset": 0.01, "frequency_ppm": 10, "wander_ppb": 1}
PATH: Table = {"delay": 100e-6, "jitter": 100e-6}


def run_scenario(**tables: Any) -> tuple[Figures, Simulation]:
    simulation = Simulation(Scenario.model_validate(DEFAULTS | tables))
    return simulation.run()[0], simulation


def run_client(
    *servers: Table,
    clock: Table | None = None,
    source: Table | None = None,
    link: Table | None = None,
    engine: Table | None = None,
    **tables: Any,
) -> tuple[Figures, Simulation]:
    """`client` asks `a`, `b`, ...; the tables `source` and `link` of a server say what is special with it."""
    named = [{"name": "abcdefgh"[index], **server} for index, server in enumerate(servers or [{}])]
    sources = [{"name": each["name"]} | (source or {}) | each.pop("source", {}) for each in named]
    links = [{"between": ("client", each["name"])} | PATH | (link or {}) | each.pop("link", {}) for each in named]
    host = {"name": "client", "oscillator": CRYSTAL | (clock or {}), "engine": engine or {}, "source": sources}
    return run_scenario(host=[host], server=named, link=links, **tables)


def build_station(
    *events: Table,
    servers: str = "",
    engine: Table | None = None,
    pps: Table | None = None,
    gps: Table | None = None,
    **tables: Any,
) -> Simulation:
    """`station` with a receiver and its pulses, probed each second, before it has run."""
    station = {
        "name": "station",
        "oscillator": {"offset": 1.5, "frequency_ppm": 20, "wander_ppb": 1},
        "engine": engine or {},
        "pps": [pps or {}],
        "gps": [gps or {}],
        "source": [{"name": name, "iburst": True} for name in servers],
    }
    links = [{"between": ("station", name), "jitter": 100e-6} for name in servers]
    world = {"host": [station], "server": [{"name": name} for name in servers], "link": links, "event": list(events)}
    return Simulation(Scenario.model_validate({"duration": 1000, "probe": 1, "knots": 1} | world | tables))


def find_worst_error(simulation: Simulation, since: float, until: float, host: str = "client") -> float:
    """The largest error in seconds of a host's served time, between two times in seconds from the start."""
    (recorder,) = (each for each in simulation.recorders if each.host.name == host)
    return max(abs(error) for time, error, _, _ in recorder.points() if since <= time <= until)


@pytest.fixture
def simulate() -> Callable[..., tuple[Figures, Simulation]]:
    """`figures, simulation = simulate(host=[...])`: a scenario file's tables, run; figures of the first host."""
    return run_scenario


@pytest.fixture
def follow() -> Callable[..., tuple[Figures, Simulation]]:
    """`figures, simulation = follow({...}, {...}, clock={...})`: one client of some servers, `a`, `b` and so on."""
    return run_client


@pytest.fixture
def worst_error() -> Callable[..., float]:
    """`worst_error(simulation, since, until)`: of the served time, in seconds."""
    return find_worst_error


@pytest.fixture(name="build_station", scope="session")
def build_station_fixture() -> Callable[..., Simulation]:
    """`simulation = build_station(event, ..., servers="abc", engine={...}, pps={...}, gps={...})`, not run yet."""
    return build_station
