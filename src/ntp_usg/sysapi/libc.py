"""One handle on the C library, and its errno as Python's OSError."""

import ctypes
import os

LIBC = ctypes.CDLL(None, use_errno=True)


def check(result: int, call: str) -> int:
    """Pass a call's result through; raises the OSError of errno where it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")
    return result
