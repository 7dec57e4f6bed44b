"""Small worlds for the tests of the simulator's parts."""

import pytest

from ntp_usg.core.base.instants import WallNs
from ntp_usg.simulate.scenario import Scenario, parse_scenario
from ntp_usg.simulate.world import World

START = WallNs(1_767_225_600 * 10**9)

NETWORK = """
title = "A client of one server"
duration = "2h"
settled = "1h"
server = [{ name = "server" }]
link = [{ between = ["client", "server"], jitter = "50us" }]
[[host]]
name = "client"
oscillator = { offset = -0.02, frequency_ppm = -8 }
source = [{ name = "server", iburst = true }]
"""

STATION = """
title = "A receiver with pulses"
duration = "2min"
settled = "1min"
probe = "1s"
[[host]]
name = "station"
oscillator = { offset = 1.5, frequency_ppm = 20 }
pps = [{ jitter = "100ns" }]
gps = [{}]
"""


@pytest.fixture
def world() -> World:
    return World(START)


@pytest.fixture
def network() -> str:
    """A scenario's text."""
    return NETWORK


@pytest.fixture
def station() -> str:
    """A scenario's text."""
    return STATION


@pytest.fixture
def network_scenario() -> Scenario:
    return parse_scenario(NETWORK, "network.toml")


@pytest.fixture
def station_scenario() -> Scenario:
    return parse_scenario(STATION, "station.toml")
