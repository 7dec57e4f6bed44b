"""More than one host: chains, loops, crowds."""

from typing import Any

import pytest

from ntp_usg.core.base.verdicts import Reason
from ntp_usg.simulate.scenario import Scenario
from ntp_usg.simulate.simulation import Simulation


def host(name, sources, offset, frequency, **engine):
    crystal = {"offset": offset, "frequency_ppm": frequency, "wander_ppb": 1}
    asked = [{"name": each, "iburst": True} for each in sources]
    return {"name": name, "oscillator": crystal, "engine": engine, "source": asked}


def link(first, second):
    return {"between": (first, second), "delay": 100e-6, "jitter": 100e-6}


@pytest.mark.parametrize("seed", [1, 2])
def test_down_a_chain_of_strata_the_error_grows_slowly(simulate, seed):
    names = ["s0", "s1", "s2", "s3", "s4"]
    pairs = list(zip(names[1:], names[:-1], strict=True))
    hosts = [host(name, [above], 0.01 * index, 10 * index - 20) for index, (name, above) in enumerate(pairs)]
    _, simulation = simulate(
        server=[{"name": "s0"}], host=hosts, link=[link(*pair) for pair in pairs], settled=5000, seed=seed
    )
    chain = [recorder.figures(5000) for recorder in simulation.recorders]
    assert [recorder.host.engine.serving().stratum for recorder in simulation.recorders] == [2, 3, 4, 5]
    assert chain[-1].rms_error < 300e-6
    assert all(each.maximum_error < 1e-3 for each in chain)
    assert all(each.bound_violated == 0 for each in chain)
    assert all(each.synchronised == 1 for each in chain)


def loop(**options: Any):
    """`x` has a server, which it loses; `x` and `y` ask each other."""
    return Simulation(
        Scenario.model_validate(
            {
                "duration": 33_000,
                "settled": 2000,
                "probe": 64,
                "knots": 64,
                "server": [{"name": "s"}],
                "host": [
                    host("x", ["y", "s"], 0.01, 5, holdover_budget=2e-3) | options,
                    host("y", ["x"], -0.01, -5, holdover_budget=2e-3) | options,
                ],
                "link": [link("x", "y"), link("x", "s")],
                "event": [{"at": 6000, "what": "cut", "between": ["x", "s"]}],
            }
        )
    )


def test_two_that_follow_each_other_are_told_apart_by_their_reference_id():
    simulation = loop()
    figures = simulation.run()
    refused = simulation.host("x").engine.snapshot().sources[0].verdicts
    assert refused[f"rejected/{Reason.LOOP}"] > 5
    assert all(each.bound_violated == 0 for each in figures)
    assert all(each.maximum_error < 20e-3 for each in figures)
    assert not any(simulation.host(name).engine.serving().synchronised for name in "xy")


def test_two_that_follow_each_other_unknowingly_count_up_to_stratum_16():
    """Where no address tells (behind a translator, say) the stratum ends it, and the promise holds all the while."""
    simulation = loop(translated=True)
    figures = simulation.run()
    assert all(each.bound_violated == 0 for each in figures)
    assert all(each.maximum_error < 20e-3 for each in figures)
    assert not any(simulation.host(name).engine.serving().synchronised for name in "xy")


def test_fifty_clients_of_one_server_all_get_the_time(simulate):
    names = [f"c{index}" for index in range(50)]
    hosts = [host(name, ["s"], 0.01 * index, index - 25) for index, name in enumerate(names)]
    links = [link(name, "s") for name in names]
    _, simulation = simulate(
        server=[{"name": "s"}], host=hosts, link=links, duration=900, settled=500, probe=64, knots=64
    )
    crowd = [recorder.figures(500) for recorder in simulation.recorders]
    assert max(each.maximum_error for each in crowd) < 500e-6
    assert all(each.bound_violated == 0 for each in crowd)
    assert all(each.synchronised == 1 for each in crowd)


def test_a_fleet_that_is_switched_on_does_not_ask_in_one_moment(simulate):
    names = [f"c{index}" for index in range(20)]
    hosts = [host(name, ["s"], 0.0, 0.0) for name in names]
    _, simulation = simulate(server=[{"name": "s"}], host=hosts, link=[link(name, "s") for name in names], duration=20)
    reached = {each.at for each in simulation.journal if "reachable" in each.text}
    assert len(reached) == 20
    assert max(reached) - min(reached) > 50e6
