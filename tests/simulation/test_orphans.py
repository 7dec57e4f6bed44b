"""Servers that have lost every other time, and keep one among themselves."""

from ntp_usg.core.base.instants import seconds
from ntp_usg.core.base.samples import Measurement
from ntp_usg.core.engine.settings import ClockSettings
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation

NAMES = ("a", "b", "c")
LOCAL = ClockSettings(
    name="LOCAL(0)",
    driver="local",
    device="",
    reference_id=b"LOCL",
    stratum=10,
    timeout=64.0,
    accuracy=1.0,
    fallback=True,
    orphan=True,
)


def orphans(**events: object) -> Simulation:
    """Three servers that ask each other and `s`, which `a` alone hears; each has a local clock to fall back on."""
    host = [
        {
            "name": name,
            "oscillator": {"offset": offset, "frequency_ppm": ppm, "wander_ppb": 1},
            "source": [{"name": other, "iburst": True, "max_poll": 6} for other in asked],
            "engine": {"clocks": (LOCAL,), "holdover_budget": 1e-4},
        }
        for name, asked, offset, ppm in (("a", "bcs", 0.01, 5.0), ("b", "ac", -0.02, -7.0), ("c", "ab", 0.03, 3.0))
    ]
    pairs = [("a", "b"), ("a", "c"), ("b", "c"), ("a", "s")]
    simulation = Simulation(
        Scenario.model_validate(
            {
                "duration": 8_000,
                "settled": 6_500,
                "probe": 64,
                "knots": 64,
                "server": [{"name": "s"}],
                "host": host,
                "link": [{"between": pair, "delay": 1e-4, "jitter": 1e-5} for pair in pairs],
                **events,
            }
        )
    )
    for name in NAMES:
        introduce(simulation, name)
    return simulation


def introduce(simulation: Simulation, name: str) -> None:
    """What sockets would tell: who the others are, and as whom they see us. And a local clock that reports."""
    machine = simulation.host(name)
    for other in NAMES:
        if other != name:
            machine.engine.located(other, other.encode().ljust(4, b"\0"))
            machine.engine.seen_as(other, name.encode().ljust(4, b"\0"))

    def report() -> None:
        machine.perform(machine.engine.sample("LOCAL(0)", Measurement(machine.clock.read()[0], 0, 1e-6)))
        simulation.world.after(30, report)

    simulation.world.after(30, report)


def test_orphans_agree_on_one_of_them_and_keep_its_time():
    simulation = orphans(event=[{"at": 0, "what": "cut", "between": ("a", "s")}])
    simulation.run()
    strata = {name: simulation.host(name).engine.serving().stratum for name in NAMES}
    assert strata["a"] == 11, strata
    assert set(strata.values()) <= {11, 12, 13}, strata
    times = [served(simulation, name) for name in NAMES]
    assert max(times) - min(times) < 1e-3


def test_a_real_source_ends_the_orphans_own_time():
    simulation = orphans(event=[{"at": 0, "what": "cut", "between": ("a", "s"), "for": 3000}])
    figures = simulation.run()
    assert [simulation.host(name).engine.serving().stratum for name in NAMES] == [2, 3, 3]
    assert all(each.maximum_error < 1e-3 for each in figures)


def served(simulation: Simulation, name: str) -> float:
    """The time that a host serves now, minus the true one."""
    machine = simulation.host(name)
    host, _ = machine.clock.read()
    return seconds(machine.engine.serving().mapping.wall(host) - simulation.world.now)
