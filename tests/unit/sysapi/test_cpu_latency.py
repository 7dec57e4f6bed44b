"""A plain file stands in for the kernel's device: it keeps what a kernel would obey."""

import errno
import struct
from pathlib import Path

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi import cpu_latency
from ntp_usg.sysapi.cpu_latency import CpuLatencyLimit


def test_the_limit_is_written_as_the_kernel_reads_it(tmp_path: Path):
    path = tmp_path / "cpu_dma_latency"
    path.touch()
    limit = CpuLatencyLimit(10, str(path))
    assert path.read_bytes() == struct.pack("@i", 10)
    limit.close()


@pytest.mark.parametrize(("path", "words"), [("/nowhere/cpu", "does not exist"), ("/", "Is a directory")])
def test_a_device_that_cannot_be_used_says_why(path: str, words: str):
    with pytest.raises(DeviceError, match=f"{path} .*{words}"):
        CpuLatencyLimit(10, path)


def test_a_limit_that_is_refused_says_so():
    with pytest.raises(DeviceError, match="/dev/full takes no limit: No space left on device"):
        CpuLatencyLimit(10, "/dev/full")


def test_who_may_not_open_it_gets_advice():
    assert "udev rule" in cpu_latency._ADVICE[errno.EACCES]
