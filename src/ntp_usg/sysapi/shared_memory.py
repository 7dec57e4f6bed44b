"""System V shared memory, read only: what NTP's oldest way to hand over time lies in (shmget(2))."""

import ctypes
import errno
import os

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.sysapi.libc import LIBC, check

_SHM_RDONLY = 0o10000
_FAILED = ctypes.c_void_p(-1).value

LIBC.shmget.argtypes = (ctypes.c_int, ctypes.c_size_t, ctypes.c_int)
LIBC.shmat.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_int)
LIBC.shmat.restype = ctypes.c_void_p
LIBC.shmdt.argtypes = (ctypes.c_void_p,)


class SharedMemory:
    """A segment that somebody else has made. Raises DeviceError, with a text that says what to do."""

    def __init__(self, key: int, sizes: tuple[int, ...]) -> None:
        """Attach the segment `key` at the largest of `sizes` that it has."""
        identifier, self.size = _find(key, sizes)
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


def _advice(key: int, number: int) -> str:
    return f"shared memory {key:#x} {_ADVICE.get(number) or f'cannot be used: {os.strerror(number)}'}"


_ADVICE = {
    errno.ENOENT: "does not exist: is the program that writes it (gpsd, say) running? `ipcs -m` lists what there is",
    errno.EACCES: "may not be read by this user: units 0 and 1 are for root, use 2 or 3, or run as the writer's user",
    errno.EINVAL: "is too small for a time: another program uses this key",
}
