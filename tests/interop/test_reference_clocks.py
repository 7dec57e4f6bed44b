"""Clocks that tell the whole time, each with the unmodified daemon."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ntp_usg.refclocks.sock import MAGIC

pytestmark = pytest.mark.peer

AHEAD = 1.5
"""How far true time is ahead of this machine's, in seconds."""


@contextmanager
def sender(path: Path) -> Iterator[None]:
    """Sends a sample to the socket twice a second, once it is there."""
    ended = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            while not ended.wait(0.5):
                whole, microseconds = divmod(time.time_ns() // 1000, 1_000_000)
                if path.is_socket():
                    line.sendto(struct.pack("=qqdiiii", whole, microseconds, AHEAD, 0, 0, 0, MAGIC), str(path))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_program_that_speaks_chronys_sock_leads_the_daemon_to_stratum_1(start_daemon, tmp_path):
    path = tmp_path / "refclock.sock"
    with start_daemon(f"[sock]\ndevice = '{path}'\n") as station, sender(path):
        station.wait_for_lock()
        system = station.status()["system"]
    assert system["stratum"] == 1
    assert system["host_offset"] == pytest.approx(AHEAD, abs=1e-3)


def test_a_lonely_network_follows_the_hosts_own_clock_at_a_bad_stratum(start_daemon):
    with start_daemon("[local]\n") as station:
        station.wait_for_lock()
        system = station.status()["system"]
    assert system["stratum"] == 11
    assert system["host_offset"] == pytest.approx(0, abs=1e-3)


def test_a_receiver_is_followed_and_not_the_hosts_own_clock(start_station):
    with start_station("[local]\n", offset=AHEAD) as station:
        station.wait_until(lambda: station.status()["system"]["stratum"] == 1, "stratum 1")
        assert {source["name"] for source in station.status()["sources"]} == {"GPS_NMEA(0)", "PPS(0)", "LOCAL(0)"}
