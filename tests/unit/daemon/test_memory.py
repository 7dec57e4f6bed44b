"""What the daemon keeps over a restart, and what it concludes from it."""

import logging
from datetime import UTC, datetime

import pytest

from ntp_usg.clocks.drift_file import MOST_RECEIVERS, SavedState
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.samples import MessageLatency
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


LATENCY = MessageLatency(median=0.08, spread=0.004, uncertainty=0.0005, count=600)
NOW = WallNs(1_900_000_000 * 10**9)


def learned(*keys: str) -> Learned:
    return Learned(1e-6, 1e-9, {}, latencies={key: {"RMC": LATENCY} for key in keys})


def reopened(path) -> DriftFile:
    file = DriftFile(str(path))
    assert file.load() is not None
    return file


def test_how_late_messages_come_is_known_after_a_restart_and_how_long_ago_that_was_is_told(tmp_path, caplog):
    DriftFile(str(tmp_path / "drift")).save(learned("nmea /dev/gps 9600 baud"), NOW)
    with caplog.at_level(logging.INFO):
        assert reopened(tmp_path / "drift").latencies() == {"nmea /dev/gps 9600 baud": {"RMC": LATENCY}}
    assert "nmea /dev/gps 9600 baud, measured 2030-03-17" in caplog.text


def test_a_receiver_that_is_not_here_now_is_not_forgotten(tmp_path):
    path = tmp_path / "drift"
    DriftFile(str(path)).save(learned("one"), NOW)
    reopened(path).save(learned("other"), NOW)
    reopened(path).save(learned(), NOW)
    assert reopened(path).latencies().keys() == {"one", "other"}


def test_of_too_many_receivers_those_that_were_measured_last_are_kept(tmp_path):
    file = DriftFile(str(tmp_path / "drift"))
    for number in range(MOST_RECEIVERS + 3):
        file.save(learned(str(number)), WallNs(NOW + number * 10**9))
    assert "0" not in reopened(tmp_path / "drift").latencies()
    assert len(reopened(tmp_path / "drift").latencies()) == MOST_RECEIVERS


def test_latencies_of_no_use_do_not_spoil_the_frequency(tmp_path, caplog):
    path = tmp_path / "drift"
    path.write_text('{"frequency_ppm": 1.0, "deviation_ppm": 0.1, "latencies": {"key": "nonsense"}}')
    assert reopened(path).latencies() == {}
    assert "of receivers' latencies is of no use" in caplog.text
