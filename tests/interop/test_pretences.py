"""Clocks that are none, each with the unmodified daemon: followed where their table says `pretend`, else watched."""

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, HostNs, WallNs
from ntp_usg.core.receivers.recording import Chunk, build_chunk
from ntp_usg.simulate.sentences import Sky, build_burst

pytestmark = pytest.mark.peer

SECOND = 1_771_243_200 * NS_PER_SECOND
LATE_NS = 80_000_000


def test_a_simulated_clock_that_pretends_leads_the_daemon_to_stratum_1(start_daemon):
    with start_daemon("[simulated]\npretend = true\nahead_secs = 1.5\n") as station:
        station.wait_for_lock()
        system = station.status()["system"]
        station.wait_for_log(r"SIM\(0\): SIMULATED, there is no such clock; PRETENDS")
    assert system["stratum"] == 1
    assert system["host_offset"] == pytest.approx(1.5, abs=1e-3)


def test_one_that_does_not_is_watched_only(start_daemon):
    with start_daemon("[simulated]\nahead_secs = 1.5\n") as station:
        station.wait_until(lambda: station.status()["sources"][0]["reach"] & 7 == 7, "three readings")
        status = station.status()
    assert status["system"]["phase"] != "synchronised"
    assert status["sources"][0]["offset"] == pytest.approx(1.5, abs=0.1)


def test_a_recording_that_pretends_leads_the_daemon_to_stratum_1(start_daemon, tmp_path):
    recording = tmp_path / "receiver.jsonl"
    bursts = [WallNs(SECOND + number * NS_PER_SECOND) for number in range(60)]
    chunks = [Chunk(HostNs(second + LATE_NS), build_burst(second, Sky())) for second in bursts]
    recording.write_bytes(b"".join(map(build_chunk, chunks)))
    with start_daemon(f"[replay]\ndevice = '{recording}'\nprotocol = 'gps'\npretend = true\n") as station:
        station.wait_for_lock()
        status = station.status()
    assert status["system"]["stratum"] == 1
    # It was 80 ms late by the clock of the host that recorded it, and nobody said so.
    assert status["system"]["host_offset"] == pytest.approx(-0.08, abs=0.01)
    assert status["sources"][0]["fix"]["satellites_used"] == 9
