"""What control keeps of a worker is bounded, whatever the worker does."""

import errno
import os

import pytest

from ntp_usg.net.workers.link import STDERR_BYTES, bounded_memory


def test_what_a_worker_says_fills_no_memory():
    memory = bounded_memory()
    try:
        assert os.write(memory, b"x" * 2 * STDERR_BYTES) == STDERR_BYTES
        with pytest.raises(PermissionError):
            os.write(memory, b"more")
        for length in (0, 2 * STDERR_BYTES):
            with pytest.raises(OSError, match="not permitted") as refusal:
                os.ftruncate(memory, length)
            assert refusal.value.errno == errno.EPERM
    finally:
        os.close(memory)
