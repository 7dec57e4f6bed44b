"""When a worker counts as one that hangs."""

import os

import pytest

from ntp_usg.net.workers.link import MOST_EXCUSED, Watch
from ntp_usg.net.workers.shared import Heartbeat, create_heartbeat_memory


@pytest.fixture
def heartbeat():
    memory = create_heartbeat_memory()
    yield Heartbeat(memory)
    os.close(memory)


def test_looks_without_a_beat_are_counted_until_the_next_beat(heartbeat):
    watch = Watch(heartbeat)
    for expected in (1, 2, 3):
        watch.look(punctual=True)
        assert watch.missed == expected
    heartbeat.beat()
    watch.look(punctual=True)
    assert watch.missed == 0


def test_where_we_come_late_ourselves_it_is_the_machine_that_is_busy(heartbeat):
    watch = Watch(heartbeat)
    watch.look(punctual=True)
    watch.look(punctual=False)
    assert watch.missed == 0


def test_a_worker_may_announce_that_a_beat_takes_long_but_not_for_ever(heartbeat):
    watch = Watch(heartbeat)
    heartbeat.busy = True
    for _ in range(MOST_EXCUSED):
        watch.look(punctual=True)
        assert watch.missed == 0
    watch.look(punctual=True)
    assert watch.missed == 1
