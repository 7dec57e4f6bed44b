import logging
from dataclasses import replace

import pytest

from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import SystemSnapshot, Tally
from ntp_usg.daemon.progress import INTERVAL_NS, ProgressLog


def test_debug_lines_tell_verdicts_polls_and_selection_once_a_second(
    following_snapshot: SystemSnapshot, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    first, second = following_snapshot.sources
    states = [
        following_snapshot,
        replace(
            following_snapshot,
            sources=(replace(first, verdicts={"accepted/used": 2}), replace(second, tally=Tally.FALSETICKER)),
        ),
    ]
    progress = ProgressLog(lambda: states.pop(0))
    progress.look(MonoNs(5))
    caplog.clear()
    progress.asked(first.name)
    progress.look(MonoNs(6))
    assert not caplog.messages
    progress.look(MonoNs(5 + INTERVAL_NS))
    assert caplog.messages == [
        "ntp1.example.net: asked, poll 64.000 s; 2 accepted/used, offset +250.000 us",
        "[2001:db8::5]:1123: selection: falseticker. the clock follows it",
    ]


def test_without_debug_nothing_is_looked_at(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    ProgressLog(lambda: pytest.fail("looked at")).look(MonoNs(5))
