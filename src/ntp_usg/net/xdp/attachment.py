"""Getting the program into the kernel and onto an interface, and a plain reason where that is not possible."""

import errno
import logging
import os
import re
import sys
from typing import Literal

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.xdp.card_clock import CardClock
from ntp_usg.net.xdp.fast_path import FastPath
from ntp_usg.sysapi.bpf import VerifierError, XdpFlag

Mode = Literal["auto", "native", "generic", "offload"]
"""Where the program runs: in the driver, just behind it for every driver there is, or on the card itself."""

OLDEST_KERNEL = (6, 1)
"""The first that lets programs read the clock that counts TAI."""

_FLAGS: dict[Mode, XdpFlag] = {"native": XdpFlag.NATIVE, "generic": XdpFlag.GENERIC, "offload": XdpFlag.OFFLOAD}
_NAMES = {flag: mode for mode, flag in _FLAGS.items()}
_RIGHTS = "needs CAP_BPF and CAP_NET_ADMIN, or root; a container or a locked-down kernel may forbid it all the same"

_REFUSALS = {
    errno.ENOSYS: "this kernel has no bpf system call",
    errno.EPERM: _RIGHTS,
    errno.EACCES: _RIGHTS,
    errno.ENOMEM: "no memory for its tables: lower server.max_clients",
    errno.E2BIG: "no memory for its tables: lower server.max_clients",
}

_log = logging.getLogger(__name__)


def open_fast_path(policy: ServerPolicy, *, traffic_class: int = 0, card: int = 0, leak_key: int = 0) -> FastPath:
    """Load the program; raises NtpUsgError with the reason where this kernel or our rights do not allow it."""
    try:
        return FastPath(policy, traffic_class=traffic_class, card=card, leak_key=leak_key)
    except OSError as error:
        raise NtpUsgError(f"no XDP: {_why_not_loaded(error, on_card=card != 0)}") from error


def attach(path: FastPath, name: str, interface: int, mode: Mode) -> None:
    """Put the program onto an interface, in `auto` mode the best way that its driver allows.

    Raises NtpUsgError with the reason where it cannot be.
    """
    if mode != "auto":
        _attach(path, name, interface, mode)
        return
    try:
        _attach(path, name, interface, "native")
    except NtpUsgError as error:
        _attach(path, name, interface, "generic")
        _log.warning("%s: using generic XDP, a few times slower", error)


def use_card(path: FastPath, name: str) -> CardClock:
    """Have the stamps of its card used on an interface that the program works on; to be closed when it leaves that.

    Raises NtpUsgError with the reason where there are none: the program goes on with stamps of its own.
    """
    card = CardClock(name)
    try:
        path.bind(name)
    except NtpUsgError:
        card.close()
        raise
    except OSError as error:
        card.close()
        raise NtpUsgError(_why_not_bound(error, name, mode_of(path, name))) from error
    return card


def mode_of(path: FastPath, name: str) -> Mode:
    """How the program works on an interface that it is attached to."""
    return _NAMES[path.links[name].mode]


def _attach(path: FastPath, name: str, interface: int, mode: Mode) -> None:
    try:
        path.attach(name, interface, _FLAGS[mode])
    except OSError as error:
        raise NtpUsgError(_why_not_attached(error, name, mode)) from error


def _why_not_loaded(error: OSError, *, on_card: bool) -> str:
    release = re.match(r"(\d+)\.(\d+)", os.uname().release)
    if sys.byteorder != "little":
        return "the program is for little-endian machines"
    if release and (int(release[1]), int(release[2])) < OLDEST_KERNEL:
        return f"this kernel, {os.uname().release}, is older than 6.1"
    if on_card:
        return f"this card cannot run such a program: {error.strerror}"
    if isinstance(error, VerifierError):
        return f"the kernel does not accept the program: {_complaint(error.log)}"
    return _REFUSALS.get(error.errno or 0, str(error))


def _why_not_bound(error: OSError, name: str, mode: Mode) -> str:
    if mode != "native":
        return f"{mode} XDP gets no stamps from the card"
    if isinstance(error, VerifierError):
        return f"the kernel does not accept the program for it: {_complaint(error.log)}"
    match error.errno:
        case errno.EINVAL | errno.ENOSYS:
            return f"this kernel, {os.uname().release}, gives programs no stamps by the card: 6.3 or newer does"
        case errno.EOPNOTSUPP:
            return f"{name}'s driver gives programs no stamps by the card"
        case _:
            return str(error)


def _complaint(log: str) -> str:
    """The last line that the verifier wrote before its statistics."""
    lines = [line for line in log.splitlines() if not line.startswith("processed ")]
    return lines[-1] if lines else "it does not say why"


def _why_not_attached(error: OSError, name: str, mode: Mode) -> str:
    match error.errno:
        case errno.EOPNOTSUPP:
            return f"{name}'s driver has no {mode} XDP"
        case errno.EBUSY | errno.EEXIST:
            return f"another XDP program is on {name} already: `ip link show {name}` tells its number"
        case errno.ENODEV:
            return f"{name} has gone"
        case errno.EPERM | errno.EACCES:
            return f"no XDP on {name}: {_RIGHTS}"
        case _:
            return (
                f"{name}'s driver refuses {mode} XDP ({error.strerror}): too few queues, "
                f"a large MTU or receive offloads are common causes, and `dmesg` may say more"
            )
