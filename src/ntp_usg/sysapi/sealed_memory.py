"""Memory for processes that do not trust each other (memfd_create(2), and F_ADD_SEALS in fcntl(2))."""

import contextlib
import fcntl
import os

_F_SEAL_FUTURE_WRITE = 0x10  # Linux 5.1; Python does not name it


def create_memory(name: str, size: int) -> int:
    """A descriptor of anonymous memory whose size nobody can change: to cut it would kill all who have it mapped."""
    descriptor = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, size)
    _seal(descriptor, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK)
    return descriptor


def forbid_writing(descriptor: int) -> None:
    """Nobody may write from now on, except through the mappings that are there already."""
    with contextlib.suppress(OSError):  # an older kernel: then the other side could write, as it could before
        _seal(descriptor, _F_SEAL_FUTURE_WRITE)
    _seal(descriptor, fcntl.F_SEAL_SEAL)


def _seal(descriptor: int, seals: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
