"""What the daemon keeps over a restart, and what it concludes from it."""

import json
import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ntp_usg.clocks.drift_file import MOST_RECEIVERS
from ntp_usg.core.base.instants import WallNs
from ntp_usg.core.base.samples import MessageLatency
from ntp_usg.core.engine.engine import Learned
from ntp_usg.daemon import memory
from ntp_usg.daemon.memory import DriftFile

LATENCY = MessageLatency(median=0.08, spread=0.004, uncertainty=0.0005, count=600)
NOW = WallNs(1_900_000_000 * 10**9)


def learned(*keys: str) -> Learned:
    return Learned(1e-6, 1e-9, {}, latencies={key: {"RMC": LATENCY} for key in keys})


def reopened(path) -> DriftFile:
    file = DriftFile(str(path))
    assert file.load() is not None
    return file


def test_the_drift_file_is_dated_by_the_time_that_was_served(tmp_path):
    file = DriftFile(str(tmp_path / "drift"))
    file.save(Learned(rate=1e-6, deviation=1e-9, holdover={}), WallNs(1_900_000_000 * 10**9))
    kept = file.load()
    assert kept is not None
    assert kept.saved_at == datetime.fromtimestamp(1_900_000_000, UTC)


@pytest.mark.fault(
    group="Time",
    kind="The drift file was saved while the time was wrong, by years (one bad server was followed).",
    noticed="The first sources that are followed name an earlier date than the file; the log says so.",
    served="The time of the sources: no date of a receiver is moved because of what was saved.",
)
def test_a_saved_date_that_the_sources_contradict_is_set_aside_and_that_is_said_once(tmp_path, caplog):
    kept = {"frequency_ppm": 1, "deviation_ppm": 1, "saved_at": "2040-01-01T00:00Z"}
    (tmp_path / "drift").write_text(json.dumps(kept))
    file = reopened(tmp_path / "drift")
    for _ in range(2):
        file.compare(NOW)
    [message] = caplog.messages
    assert message.startswith("The drift file was saved at 2040-01-01, but the sources say that it is 2030-03-17: ")


def test_a_saved_date_of_the_past_is_no_news(tmp_path, caplog):
    DriftFile(str(tmp_path / "drift")).save(learned(), NOW)
    reopened(tmp_path / "drift").compare(WallNs(NOW + 10**18))
    assert not caplog.messages


@pytest.mark.parametrize("now", [WallNs(0), WallNs(2**63), WallNs(10**30), WallNs(-(10**30))])
def test_nothing_is_saved_with_an_impossible_date(tmp_path, now):
    DriftFile(str(tmp_path / "drift")).save(learned(), now)
    assert not (tmp_path / "drift").exists()


def test_how_late_messages_come_is_known_after_a_restart_and_how_long_ago_that_was_is_told(tmp_path, caplog):
    DriftFile(str(tmp_path / "drift")).save(learned("nmea /dev/gps 9600 baud"), NOW)
    with caplog.at_level(logging.INFO):
        assert reopened(tmp_path / "drift").latencies() == {"nmea /dev/gps 9600 baud": {"RMC": LATENCY}}
    assert "nmea /dev/gps 9600 baud, measured on 2030-03-17" in caplog.text


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
    assert "the receivers' latencies in the drift file cannot be used" in caplog.text


def test_two_savings_at_once_end_with_a_whole_file(tmp_path, monkeypatch):
    # The hourly one is in a thread, where a memory card may hold it up until the daemon stops and saves as well.
    started, release, order = threading.Event(), threading.Event(), []

    def slow_write(path, state):
        started.set()
        assert release.wait(5)
        order.append(state.frequency_ppm)

    monkeypatch.setattr(memory, "save", slow_write)
    file = DriftFile(str(tmp_path / "drift"))
    threads = [threading.Thread(target=file.save, args=(replace(learned(), rate=rate), NOW)) for rate in (1e-6, 2e-6)]
    threads[0].start()
    assert started.wait(5)
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(5)
    assert order == [-1.0, -2.0]
