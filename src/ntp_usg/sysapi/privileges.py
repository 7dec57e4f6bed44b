"""This process: its rights, how to give them up for good, and its name (capabilities(7), prctl(2)).

Linux keeps these per thread: call them from the main thread, before any other is started.
"""

import ctypes
import os
from collections.abc import Collection, Iterable

from ntp_usg.sysapi.libc import LIBC, check

NOBODY = 65534
"""The user and group that own nothing, where no account of our own was made."""

CAPABILITIES = {
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_TIME": 25,
    "CAP_BPF": 39,
}
"""Those that a time server may have a use for."""

_PR_SET_KEEPCAPS, _PR_SET_NAME, _PR_SET_NO_NEW_PRIVS = 8, 15, 38
_PR_SET_TIMERSLACK = 29
_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 23, 24, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """One half of the sets: version 3 passes 64 capabilities as two of these, low half first."""

    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def has_capability(name: str) -> bool:
    """Whether this process may use a capability now; `name` is a key of CAPABILITIES."""
    return bool(_effective() >> CAPABILITIES[name] & 1)


def drop_privileges(*, uid: int = NOBODY, gid: int = NOBODY, keep: Collection[str] = ()) -> None:
    """Give up every right but the capabilities to `keep` (of those it has), now and for all programs it may start.

    Root becomes `uid` and `gid` without supplementary groups; any other user stays who it is. Cannot be undone.
    Raises OSError where the kernel refuses.
    """
    kept = sum(1 << CAPABILITIES[name] for name in keep) & _effective()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    if has_capability("CAP_SETPCAP"):
        for number in _known_capabilities():
            if not kept >> number & 1:
                _prctl(_PR_CAPBSET_DROP, number)
    if os.geteuid() == 0 and has_capability("CAP_SETUID") and has_capability("CAP_SETGID"):
        _prctl(_PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    _set_capabilities(kept)


def set_process_name(name: str) -> None:
    """Set the name that `ss`, `top` and /proc/PID/comm show; the kernel keeps 15 bytes of it."""
    buffer = ctypes.create_string_buffer(name.encode())
    _prctl(_PR_SET_NAME, ctypes.addressof(buffer))


def set_timer_slack(nanoseconds: int) -> None:
    """Let the kernel wake this thread so much later than asked, to save wake-ups; 50 us unless told otherwise."""
    _prctl(_PR_SET_TIMERSLACK, nanoseconds)


def _known_capabilities() -> Iterable[int]:
    for number in range(64):
        try:
            _prctl(_PR_CAPBSET_READ, number)
        except OSError:
            return
        yield number


def _prctl(option: int, argument: int, /) -> None:
    # The C function is variadic and the kernel insists on zeros: all five must be passed as longs.
    zero = ctypes.c_ulong(0)
    check(LIBC.prctl(option, ctypes.c_ulong(argument), zero, zero, zero), f"prctl {option}")


def _effective() -> int:
    header, sets = _Header(_CAPABILITY_VERSION_3, 0), (_Sets * 2)()
    check(LIBC.capget(ctypes.byref(header), sets), "capget")
    return int(sets[0].effective) | int(sets[1].effective) << 32


def _set_capabilities(mask: int) -> None:
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header, sets = _Header(_CAPABILITY_VERSION_3, 0), (_Sets * 2)(_Sets(low, low, 0), _Sets(high, high, 0))
    check(LIBC.capset(ctypes.byref(header), sets), "capset")
