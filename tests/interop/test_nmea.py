"""The whole daemon with receivers that are not as the configuration or the calendar has them."""

import os
import sys
import termios
import threading
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ntp_usg.core.base.instants import NS_PER_SECOND, WallNs
from ntp_usg.simulate.sentences import Sky, build_burst

pytestmark = pytest.mark.peer

AHEAD = 3
"""Seconds that the receiver's time is ahead of this machine's."""
WEEKS_1024 = 1024 * 7 * 86_400
GARBAGE = b"\x00\xf8$\x86\x00\r\n" * 20


@contextmanager
def wire(link: Path, speed: int) -> Iterator[None]:
    """A receiver that talks at one speed: at any other what arrives is garbage, as on a real line."""
    far, near = os.openpty()
    os.set_blocking(far, False)
    tty.setraw(near)
    link.symlink_to(os.ttyname(near))
    ended = threading.Event()

    def talk() -> None:
        while not ended.wait(1.1 - time.time() % 1):
            second = WallNs((int(time.time()) + AHEAD) * NS_PER_SECOND)
            fits = termios.tcgetattr(far)[5] == speed
            os.write(far, build_burst(second, Sky()) if fits else GARBAGE)

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        os.close(near)
        os.close(far)


def test_a_receiver_of_unknown_speed_is_found_and_followed_to_stratum_1(start_daemon, tmp_path):
    table = f'[gps]\ndevice = "{tmp_path}/gps"\nbaud_rate = "auto"\ntimeout_secs = 3\nsentences = ["ZDA"]\n'
    with wire(tmp_path / "gps", termios.B38400), start_daemon(table) as station:
        station.wait_for_lock()
        system = station.status()["system"]
        station.wait_for_log(r"GPS_NMEA\(0\): \S+ found at 38400 baud\n")
    assert system["stratum"] == 1
    # The first byte came 0.1 s after its second.
    assert system["host_offset"] == pytest.approx(AHEAD - 0.1, abs=0.05)


def test_a_receiver_whose_weeks_have_rolled_over_is_followed_all_the_same(host, start_daemon, tmp_path):
    table = f'[gps]\ndevice = "{tmp_path}/gps"\n[pps]\ndevice = "{tmp_path}/pps.sock"\n'
    line = ["--link", tmp_path / "gps", "--pps", tmp_path / "pps.sock", "--drift-ppm", "0"]
    simulator = [sys.executable, "-m", "ntp_usg.simulate", *line, "--offset", str(AHEAD - WEEKS_1024)]
    with host.running(*simulator, log=tmp_path / "receiver.log"), start_daemon(table) as station:
        station.wait_for_lock()
        assert station.status()["system"]["host_offset"] == pytest.approx(AHEAD, abs=0.01)
        station.wait_for_log(r"GPS_NMEA\(0\): .* names 20\d\d-\d\d-\d\d, taken for 20\d\d-\d\d-\d\d\n")
