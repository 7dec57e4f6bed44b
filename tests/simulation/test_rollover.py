"""What the receivers' dates are unrolled from, where servers know the time."""

import pytest

from ntp_usg.clocks.virtual import VirtualClock
from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.daemon.runner import EngineRunner, SourceContext


def earliest(engine, floor: int) -> int:
    clock = VirtualClock()
    runner = EngineRunner(engine, clock, publish=lambda: None, talk=lambda _action: None)
    return SourceContext(runner, clock, "client", WallNs(floor)).earliest()


def test_the_time_of_servers_is_told_once_they_lead_and_drivers_learn_it(follow):
    _, simulation = follow({}, {}, {}, duration=600, settled=300)
    engine = simulation.host("client").engine
    now = engine.network_time()
    assert now == pytest.approx(engine.serving().reference_time, abs=100 * NS_PER_SECOND)
    assert earliest(engine, 0) == pytest.approx(now, abs=NS_PER_SECOND)
    assert earliest(engine, now + 10**18) == now + 10**18


def test_servers_that_contradict_each_other_tell_no_time(follow):
    _, simulation = follow({}, {"oscillator": {"offset": 100}}, duration=600, settled=300)
    engine = simulation.host("client").engine
    assert engine.network_time() is None
    assert earliest(engine, 7) == 7
