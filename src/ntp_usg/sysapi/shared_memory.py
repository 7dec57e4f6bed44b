"""System V shared memory, read only: what NTP's oldest way to hand over time lies in (shmget(2))."""

import ctypes
import errno
import os
import struct
from collections.abc import Collection

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi.libc import LIBC, check

_SHM_RDONLY = 0o10000
_IPC_STAT = 2
_PERMISSIONS = struct.Struct("=4xI4xI4xI")
"""The beginning of a `struct shmid_ds`: key, owner, group, who made it, his group, mode."""
_STATUS_BYTES = 256
"""More than any system's `struct shmid_ds` has."""
_OTHERS_WRITE = 0o002
_FAILED = ctypes.c_void_p(-1).value

LIBC.shmget.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
LIBC.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
LIBC.shmat.restype = ctypes.c_void_p
LIBC.shmctl.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_void_p)
LIBC.shmdt.argtypes = (ctypes.c_void_p,)


class SharedMemory:
    """A segment that somebody else has made. Raises DeviceError, with a text that says what to do."""

    def __init__(self, key: int, sizes: tuple[int, ...], owners: Collection[int] = ()) -> None:
        """Attach the segment `key` at the largest of `sizes` that it has; it must be root's, ours, or of `owners`."""
        identifier, self.size = _find(key, sizes)
        self.open_to_all = _is_open_to_all(key, identifier, {0, os.geteuid(), *owners})
        """Whether every user of this machine may write to it."""
        address = LIBC.shmat(identifier, None, _SHM_RDONLY)
        if address == _FAILED:
            raise DeviceError(_advice(key, ctypes.get_errno()))
        self._address = address

    def read(self) -> bytes:
        """A copy; the writer may be in the middle of it."""
        return ctypes.string_at(self._address, self.size)

    def close(self) -> None:
        """Detach it."""
        LIBC.shmdt(self._address)


def _find(key: int, sizes: tuple[int, ...]) -> tuple[int, int]:
    number = 0
    for size in sorted(sizes, reverse=True):
        try:
            return check(LIBC.shmget(key, size, 0), "shmget"), size
        except OSError as error:
            number = error.errno or 0
        if number != errno.EINVAL:  # which says that the segment is smaller
            break
    raise DeviceError(_advice(key, number))


def _is_open_to_all(key: int, identifier: int, owners: Collection[int]) -> bool:
    """Who may write it; raises DeviceError for a segment of a user who is not trusted, or that such a one has made."""
    status = ctypes.create_string_buffer(_STATUS_BYTES)
    if LIBC.shmctl(identifier, _IPC_STAT, status) < 0:
        raise DeviceError(_advice(key, ctypes.get_errno()))
    owner, maker, mode = _PERMISSIONS.unpack_from(status)
    strangers = {owner, maker} - set(owners)
    if strangers:
        raise DeviceError(
            f"shared memory {key:#x} belongs to user {min(strangers)}, who is not trusted: set `owner` to that user's "
            "name if its program is to set the clock, or remove the segment (`ipcrm -M KEY`)"
        )
    return bool(mode & _OTHERS_WRITE)


def _advice(key: int, number: int) -> str:
    return f"shared memory {key:#x} {_ADVICE.get(number) or f'cannot be used: {os.strerror(number)}'}"


_ADVICE = {
    errno.ENOENT: "does not exist: is the program that writes it (gpsd, say) running? `ipcs -m` lists what there is",
    errno.EACCES: "may not be read by this user: units 0 and 1 are for root, use 2 or 3, or run as the writer's user",
    errno.EINVAL: "is too small for a time: another program uses this key",
}
