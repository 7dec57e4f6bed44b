"""What the daemon keeps over a restart, and what it concludes from it."""

from datetime import UTC, datetime

import pytest

from ntp_usg.clocks.drift_file import SavedState
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.engine.engine import Learned
from ntp_usg.core.receivers.rollover import build_floor
from ntp_usg.daemon.memory import DriftFile, latest_known


def saved(at: datetime | None) -> SavedState:
    return SavedState(frequency_ppm=1.0, deviation_ppm=0.1, saved_at=at)


def test_the_drift_file_is_dated_by_the_time_that_was_served(tmp_path):
    file = DriftFile(str(tmp_path / "drift"))
    file.save(Learned(rate=1e-6, deviation=1e-9, holdover={}), WallNs(1_900_000_000 * 10**9))
    kept = file.load()
    assert kept is not None
    assert kept.saved_at == datetime.fromtimestamp(1_900_000_000, UTC)


def test_it_is_not_earlier_than_when_the_time_was_last_known():
    assert latest_known(saved(datetime(2040, 1, 1, tzinfo=UTC))) == 2_208_988_800 * 10**9


@pytest.mark.parametrize("state", [None, saved(None), saved(datetime(2001, 1, 1, tzinfo=UTC))])
def test_without_a_useful_drift_file_it_is_not_earlier_than_this_program(state):
    assert latest_known(state) == build_floor()
