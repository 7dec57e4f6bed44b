"""What the receivers' dates are unrolled from, where servers know the time."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND


def test_the_time_of_servers_is_told_once_they_lead(follow):
    _, simulation = follow({}, {}, {}, duration=600, settled=300)
    engine = simulation.host("client").engine
    assert engine.network_time() == pytest.approx(engine.serving().reference_time, abs=100 * NS_PER_SECOND)


def test_servers_that_contradict_each_other_tell_no_time(follow):
    _, simulation = follow({}, {"oscillator": {"offset": 100}}, duration=600, settled=300)
    assert simulation.host("client").engine.network_time() is None
