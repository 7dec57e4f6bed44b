"""Clocks on cards without a card: numbers, layouts, names and advice. What they tell is tried in tests/system."""

import ctypes
import errno
import os
import socket
from collections.abc import Callable, Sequence

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.receivers.phc import CAPABILITIES, EVENT, EXTENDED, OFFSET, PRECISE
from ntp_usg.sysapi import phc
from ntp_usg.sysapi.phc import PhcDevice, ReceiveStamps, find_clock


class Time(ctypes.Structure):
    """struct ptp_clock_time, and below the others as linux/ptp_clock.h has them: the compiler's own layout."""

    _fields_ = (("sec", ctypes.c_int64), ("nsec", ctypes.c_uint32), ("reserved", ctypes.c_uint32))


class Event(ctypes.Structure):
    _fields_ = (("t", Time), ("index", ctypes.c_uint), ("flags", ctypes.c_uint), ("rsv", ctypes.c_uint * 2))


class Pin(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char * 64),
        ("index", ctypes.c_uint),
        ("func", ctypes.c_uint),
        ("chan", ctypes.c_uint),
        ("rsv", ctypes.c_uint * 5),
    )


class Reading(ctypes.Structure):
    """Both structures of readings, but for the number of times at the end."""

    _fields_ = (("n_samples", ctypes.c_uint), ("rsv", ctypes.c_uint * 3))


def test_the_ioctl_numbers_are_those_of_the_kernel_header():
    assert phc.PTP_CLOCK_GETCAPS == 0x80503D01
    assert phc.PTP_EXTTS_REQUEST == 0x40103D02
    assert phc.PTP_SYS_OFFSET == 0x43403D05
    assert phc.PTP_PIN_SETFUNC == 0x40603D07
    assert phc.PTP_SYS_OFFSET_PRECISE == 0xC0403D08
    assert phc.PTP_SYS_OFFSET_EXTENDED == 0xC4C03D09
    assert phc.PTP_EXTTS_REQUEST2 == 0x40103D0B


def test_the_layouts_are_those_of_the_kernel_header():
    time, reading = ctypes.sizeof(Time), ctypes.sizeof(Reading)
    assert CAPABILITIES.size == 20 * ctypes.sizeof(ctypes.c_int)
    assert EVENT.size == ctypes.sizeof(Event)
    assert phc._PIN.size == ctypes.sizeof(Pin)
    assert (OFFSET.size, EXTENDED.size) == (reading + 51 * time, reading + 75 * time)
    assert phc._STAMPING.size == ctypes.sizeof(Stamping)
    assert PRECISE.size == 3 * time + 4 * ctypes.sizeof(ctypes.c_uint)
    wanted = Pin.from_buffer_copy(phc._PIN.pack(2, 1, 3))
    assert (wanted.index, wanted.func, wanted.chan) == (2, 1, 3)


def test_a_path_is_a_path():
    assert find_clock("/dev/ptp7") == "/dev/ptp7"


@pytest.mark.parametrize("name", ["a name longer than any interface", "eth0\0", "nö" * 8])
def test_a_name_that_no_interface_can_have_is_refused(name):
    with pytest.raises(DeviceError, match="neither a path"):
        find_clock(name)


def test_an_interface_without_a_clock_is_refused():
    with pytest.raises(DeviceError, match="lo has no clock of its own"):
        find_clock("lo")


def test_an_interface_that_is_not_there_is_refused():
    assert "nosuch0" not in {name for _, name in socket.if_nameindex()}
    with pytest.raises(DeviceError, match="nosuch0 is no network interface"):
        find_clock("nosuch0")


def test_a_missing_device_is_named_with_advice(tmp_path):
    with pytest.raises(DeviceError, match=r"ptp0 does not exist: .*ethtool"):
        PhcDevice(str(tmp_path / "ptp0"))


def test_a_file_is_no_clock_and_is_closed_again(tmp_path):
    (tmp_path / "ptp0").touch()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the folder of links is odd
    with pytest.raises(DeviceError, match="is no PTP hardware clock"):
        PhcDevice(str(tmp_path / "ptp0"))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize(("number", "words"), [(errno.EACCES, "udev rule"), (errno.EBUSY, "ts2phc"), (5, "failed")])
def test_each_refusal_says_what_to_do(number, words):
    assert words in phc._advice("/dev/ptp0", OSError(number, os.strerror(number)))


class Stamping(ctypes.Structure):
    """struct hwtstamp_config of linux/net_tstamp.h."""

    _fields_ = (("flags", ctypes.c_int), ("tx_type", ctypes.c_int), ("rx_filter", ctypes.c_int))


class Switch:
    """A driver as its two ioctls show it: what is set at present, and which kinds of arrivals it can stamp."""

    def __init__(self, now: tuple[int, int], can: Sequence[int], refusal: int = errno.ERANGE) -> None:
        self.departures, self.arrivals = now
        self.can, self.refusal = can, refusal
        self.requests: list[int] = []

    def __call__(self, name: str, number: int, data: bytes) -> bytes:
        assert name == "eth0"
        assert len(data) == ctypes.sizeof(Stamping)
        if number == 0x89B0:
            wanted = Stamping.from_buffer_copy(data)
            self.requests.append(wanted.rx_filter)
            assert (wanted.flags, wanted.tx_type) == (0, self.departures)
            if wanted.rx_filter not in self.can:
                raise OSError(self.refusal, "refused")
            self.arrivals = wanted.rx_filter
        else:
            assert number == 0x89B1
        return bytes(Stamping(0, self.departures, self.arrivals))


@pytest.fixture
def switch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Switch]:
    def build(*now: int, can: Sequence[int], refusal: int = errno.ERANGE) -> Switch:
        made = Switch((now[0], now[1]), can, refusal)
        monkeypatch.setattr(phc, "_control_interface", made)
        return made

    return build


@pytest.mark.parametrize(("can", "requests"), [((0, 1, 15), [15, 0]), ((0, 1), [15, 1, 0])])
@pytest.mark.parametrize("departures", [0, 1])
def test_stamping_is_switched_on_for_ntp_or_for_all_and_off_again(switch, can, requests, departures):
    card = switch(departures, 0, can=can)
    stamps = ReceiveStamps("eth0")
    assert card.arrivals == requests[-2]
    stamps.close()
    stamps.close()
    assert (card.requests, card.arrivals) == (requests, 0)


@pytest.mark.parametrize("arrivals", [1, 15])
def test_a_card_that_stamps_already_is_left_alone(switch, arrivals):
    card = switch(1, arrivals, can=(0, 1, 15))
    ReceiveStamps("eth0").close()
    assert card.requests == []


def test_what_somebody_else_has_set_meanwhile_stays(switch):
    card = switch(0, 12, can=(0, 1, 12))
    stamps = ReceiveStamps("eth0")
    card.departures, card.arrivals = 1, 12
    stamps.close()
    assert (card.departures, card.arrivals) == (1, 12)
    assert card.requests == [15, 1]


@pytest.mark.parametrize(
    ("refusal", "words"),
    [
        (errno.ERANGE, "eth0 stamps no NTP packets"),
        (errno.EOPNOTSUPP, "eth0 stamps no NTP packets"),
        (errno.EPERM, "eth0 may be set up with CAP_NET_ADMIN only"),
    ],
)
def test_a_card_that_will_not_stamp_says_why(switch, refusal, words):
    switch(0, 0, can=(), refusal=refusal)
    with pytest.raises(DeviceError, match=words):
        ReceiveStamps("eth0")


def test_an_interface_without_stamps_is_refused_by_the_kernel():
    with pytest.raises(DeviceError, match="lo stamps no NTP packets"):
        ReceiveStamps("lo")
