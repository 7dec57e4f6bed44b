"""Memory that one process shares with another cannot be turned against it."""

import mmap
import os

import pytest

from ntp_usg.sysapi.sealed_memory import create_memory, forbid_writing

SIZE = 4096


@pytest.fixture
def memory():
    descriptor = create_memory("test", SIZE)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("length", [0, 2 * SIZE])
def test_nobody_can_change_its_size(memory, length):
    with pytest.raises(PermissionError):
        os.ftruncate(memory, length)


def test_what_is_written_to_it_fills_no_more_than_its_size(memory):
    assert os.write(memory, b"x" * 2 * SIZE) == SIZE
    with pytest.raises(PermissionError):
        os.write(memory, b"more")


def test_only_mappings_that_were_there_before_can_write(memory):
    writer = mmap.mmap(memory, SIZE)
    forbid_writing(memory)
    with pytest.raises(PermissionError):
        mmap.mmap(memory, SIZE)
    with pytest.raises(PermissionError):
        os.pwrite(memory, b"x", 0)
    writer[:4] = b"news"
    assert mmap.mmap(memory, SIZE, access=mmap.ACCESS_READ)[:4] == b"news"
