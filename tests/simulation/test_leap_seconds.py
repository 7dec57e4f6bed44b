"""The world's own time knows no leap seconds here: after one, served time is rightly a second off, and stays so."""

from itertools import pairwise

import pytest

from ntp_usg.core.base.snapshots import Leap

QUICK = {"iburst": True}
EVE = "2026-12-31T23:00:00Z"
MIDNIGHT = 3600


def announce(names, leap, until=MIDNIGHT):
    """Servers that announce a leap second; the kernel of each repeats or leaves out its last second."""
    jump = {Leap.INSERT: -1, Leap.DELETE: 1}[leap]
    at = until - (leap is Leap.DELETE)
    claims = [{"at": 0, "what": "claim", "server": name, "leap": leap, "for": until} for name in names]
    return claims + [{"at": at, "what": "step", "clock": name, "seconds": jump} for name in names]


def chain(special=None, **polls):
    """`upper` follows `s`, `lower` follows `upper`."""
    pairs = [("upper", "s"), ("lower", "upper")]
    hosts = [{"name": name, "source": [{"name": above, "iburst": True} | polls]} for name, above in pairs]
    return [hosts[0] | (special or {}), hosts[1]], [{"between": pair, "jitter": 100e-6} for pair in pairs]


def errors(simulation, since, until, expected=0.0, index=0):
    points = simulation.recorders[index].points()
    return max(abs(error - expected) for time, error, _, _ in points if since <= time <= until)


@pytest.mark.parametrize(("leap", "jump"), [(Leap.INSERT, -1), (Leap.DELETE, 1)])
@pytest.mark.parametrize("servers", ["a", "abc"])
def test_an_announced_leap_second_is_done_on_the_second(follow, servers, leap, jump):
    world = {"start": EVE, "event": announce(servers, leap), "duration": 7200, "settled": 60, "probe": 1}
    figures, simulation = follow(*[{}] * len(servers), source=QUICK, **world)
    assert errors(simulation, 600, MIDNIGHT - 2) < 500e-6
    assert errors(simulation, MIDNIGHT + 2, 7200, jump) < 500e-6
    assert figures.steps == 2
    assert figures.synchronised == 1
    assert not any("lost" in entry.text for entry in simulation.journal)


def test_what_a_minority_announces_is_not_done(follow):
    event = {"at": 0, "what": "claim", "server": "a", "leap": Leap.INSERT, "for": MIDNIGHT}
    figures, _ = follow({}, {}, {}, source=QUICK, start=EVE, event=[event], duration=7200)
    assert figures.maximum_error < 300e-6
    assert figures.steps == 1


def test_what_is_announced_for_an_impossible_month_is_not_done(follow):
    event = {"at": 0, "what": "claim", "server": "a", "leap": Leap.INSERT, "for": MIDNIGHT}
    figures, _ = follow(source=QUICK, start="2026-10-31T23:00:00Z", event=[event], duration=7200)
    assert figures.maximum_error < 300e-6
    assert figures.steps == 1


def test_a_leap_second_comes_down_a_chain(simulate):
    hosts, links = chain(max_poll=8)
    world = {"start": EVE, "event": announce("s", Leap.INSERT), "duration": 6000, "settled": 60}
    _, simulation = simulate(server=[{"name": "s"}], host=hosts, link=links, **world)
    assert errors(simulation, 600, MIDNIGHT - 1, index=1) < 500e-6
    assert errors(simulation, MIDNIGHT + 1, 6000, -1, index=1) < 500e-6
    assert simulation.recorders[1].figures(60).steps == 2


def test_who_follows_a_smearing_server_sees_no_jump(simulate):
    """From noon to noon its count falls behind by a second, at 11.6 ppm; half of it is seen here."""
    midnight = 13 * 3600
    hosts, links = chain({"engine": {"leap_smear": True}}, max_poll=6)
    world = {"start": "2026-12-31T11:00:00Z", "duration": 48_600, "settled": 2000, "probe": 64}
    _, simulation = simulate(
        server=[{"name": "s"}], host=hosts, link=links, event=announce("s", Leap.INSERT, midnight), **world
    )
    below = simulation.recorders[1]
    assert below.figures(2000).steps == 1
    assert errors(simulation, 2000, 3600, index=1) < 500e-6
    assert errors(simulation, midnight - 32, midnight + 32, -0.5, index=1) < 2e-3
    assert errors(simulation, 48_600 - 64, 48_600, -12.5 / 24, index=1) < 2e-3
    assert max(abs(after - before) for before, after in pairwise(below.errors[20:])) < 5e-3
