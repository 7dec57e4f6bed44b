"""PPS without a pulse: numbers, layouts, records and advice. Real pulses are in tests/system."""

import ctypes
import errno
import os
import sys
from pathlib import Path

import pytest

from ntp_usg.core.base.errors import DeviceError, WireError
from ntp_usg.core.base.instants import HostNs
from ntp_usg.sysapi import pps
from ntp_usg.sysapi.pps import PpsDevice, PpsInfo


@pytest.mark.skipif(sys.maxsize < 2**32, reason="the numbers below hold a 64-bit pointer's size")
def test_the_ioctl_numbers_are_those_of_the_kernel_header():
    assert pps.PPS_GETPARAMS == 0x800870A1
    assert pps.PPS_SETPARAMS == 0x400870A2
    assert pps.PPS_GETCAP == 0x800870A3
    assert pps.PPS_FETCH == 0xC00870A4


class KernelTime(ctypes.Structure):
    """struct pps_ktime, and below the other structures as linux/pps.h has them: the compiler's own layout."""

    _fields_ = (("sec", ctypes.c_int64), ("nsec", ctypes.c_int32), ("flags", ctypes.c_uint32))


class KernelInfo(ctypes.Structure):
    _fields_ = (
        ("assert_sequence", ctypes.c_uint32),
        ("clear_sequence", ctypes.c_uint32),
        ("assert_tu", KernelTime),
        ("clear_tu", KernelTime),
        ("current_mode", ctypes.c_int),
    )


class KernelFetchData(ctypes.Structure):
    _fields_ = (("info", KernelInfo), ("timeout", KernelTime))


class KernelParameters(ctypes.Structure):
    _fields_ = (
        ("api_version", ctypes.c_int),
        ("mode", ctypes.c_int),
        ("assert_off_tu", KernelTime),
        ("clear_off_tu", KernelTime),
    )


def test_the_layouts_are_those_of_the_kernel_header():
    assert pps._FETCH_DATA.size == ctypes.sizeof(KernelFetchData)
    assert pps._PARAMETERS.size == ctypes.sizeof(KernelParameters)


def test_fetched_data_become_sequences_and_instants():
    data = KernelFetchData(
        KernelInfo(7, 8, KernelTime(1_700_000_000, 999_999_999, 0), KernelTime(1_700_000_001, 100_000_000, 0), 1)
    )
    assert pps._parse_fetch_data(bytearray(data)) == PpsInfo(
        assert_sequence=7,
        clear_sequence=8,
        assert_ns=HostNs(1_700_000_000_999_999_999),
        clear_ns=HostNs(1_700_000_001_100_000_000),
    )


def test_a_pulse_record_survives_its_datagram():
    info = PpsInfo(2**32 - 1, 0, HostNs(4_300_000_000 * 10**9 + 1), HostNs(0))
    assert PpsInfo.unpack(info.pack()) == info


@pytest.mark.parametrize("data", [b"", b"pulse", bytes(25)])
def test_other_datagrams_are_refused(data):
    with pytest.raises(WireError, match="24 bytes"):
        PpsInfo.unpack(data)


def test_a_missing_device_gets_advice_on_its_driver(tmp_path: Path):
    with pytest.raises(DeviceError, match="pps9 does not exist: load the pulse line's driver"):
        PpsDevice(str(tmp_path / "pps9"))


@pytest.mark.parametrize("path", ["/dev/null", "/etc/passwd", "/"])
def test_whatever_is_no_pps_device_is_refused_and_closed(path):
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (the directory counts itself either way)
    with pytest.raises(DeviceError, match=f"{path} is not a PPS device"):
        PpsDevice(path)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_forbidden_device_gets_advice_on_groups():
    assert "udev rule" in pps._advice("/dev/pps0", PermissionError(errno.EACCES, "Permission denied"))


def test_an_unplugged_device_is_named():
    assert (
        pps._advice("/dev/pps0", OSError(errno.ENODEV, "No such device"))
        == "/dev/pps0 has gone or failed: No such device"
    )
