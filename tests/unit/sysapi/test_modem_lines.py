"""Ports without modem lines; ports with some are made in tests/system."""

import os
import signal
import threading
import tty
from collections.abc import Iterator

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi.libc import LIBC, check
from ntp_usg.sysapi.line_discipline import PpsAttachment, driver_of, port_of
from ntp_usg.sysapi.modem_lines import WAKE, ModemLine, listen_to_wake, wake


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the directory counts itself either way


@pytest.fixture
def pty() -> Iterator[str]:
    master, slave = os.openpty()
    tty.setraw(slave)
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


@pytest.fixture
def wake_signal() -> Iterator[None]:
    before = signal.getsignal(WAKE)
    listen_to_wake()
    yield
    signal.signal(WAKE, before)


@pytest.mark.parametrize(
    ("path", "words"),
    [("/dev/ttyS-none", "does not exist"), ("/dev/null", "is no serial port"), ("/etc/passwd", "is no serial port")],
)
@pytest.mark.parametrize("open_it", [lambda path: ModemLine(path, "dcd"), PpsAttachment])
def test_what_is_no_port_is_refused_and_closed(open_it, path, words):
    before = open_descriptors()
    with pytest.raises(DeviceError, match=f"{path} {words}"):
        open_it(path)
    assert open_descriptors() == before


def test_a_port_without_modem_lines_is_refused_and_closed(pty: str):
    before = open_descriptors()
    with pytest.raises(DeviceError, match=f"{pty} has no modem lines that can be read"):
        ModemLine(pty, "cts")
    assert open_descriptors() == before


def test_of_a_line_that_is_unknown_sysfs_says_nothing():
    assert (driver_of("/dev/pps-none"), port_of("/dev/pps-none")) == ("", "")


@pytest.mark.usefixtures("wake_signal")
def test_a_wait_that_cannot_end_by_itself_is_ended():
    interrupted = []

    def pause() -> None:
        try:
            check(LIBC.pause(), "pause")
        except InterruptedError:
            interrupted.append(True)

    thread = threading.Thread(target=pause, daemon=True)
    thread.start()
    assert wake(thread, patience=5)
    assert interrupted


@pytest.mark.usefixtures("wake_signal")
def test_a_thread_that_does_not_listen_is_given_up():
    end = threading.Event()
    thread = threading.Thread(target=end.wait, daemon=True)
    thread.start()
    assert not wake(thread, patience=0.03)
    end.set()
    thread.join()
