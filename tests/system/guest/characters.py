"""Runs in the guest: whether the character devices that tests make (cuse.py) behave as a driver's would."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import select
import signal
import struct
import threading
import time

from tests.system.guest.cuse import CharacterDevice, Control, control

from ntp_usg.sysapi.libc import LIBC

DOUBLE = 2 << 30 | 8 << 16 | ord("=") << 8 | 1  # an _IOR that reads its argument all the same, as PTP_SYS_OFFSET does
LONG = 3 << 30 | 1216 << 16 | ord("=") << 8 | 2
BY_VALUE, REFUSED, WAITING, UNKNOWN = 0x7001, 0x7002, 0x545C, 0x7003
released = threading.Event()
values: list[int] = []
heard: list[bytes] = []


def double(data: bytes) -> bytes:
    return struct.pack("=Q", 2 * struct.unpack("=Q", data)[0])


def take_value(data: bytes) -> bytes:
    values.append(struct.unpack("=Q", data)[0])
    return b""


def refuse(_: bytes) -> bytes:
    raise OSError(errno.EBADMSG, "")


def wait(_: bytes) -> bytes:
    released.wait(20)
    return b""


CONTROLS = {
    DOUBLE: control(DOUBLE, double),
    LONG: control(LONG, lambda data: data[::-1]),
    BY_VALUE: Control(take_value, 0),
    REFUSED: Control(refuse, 0),
    WAITING: Control(wait, 0, waits=True),
}


def error_of(descriptor: int, number: int) -> str:
    try:
        fcntl.ioctl(descriptor, number, 0)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "none"


def ioctls(descriptor: int) -> dict[str, object]:
    doubled, turned = bytearray(struct.pack("=Q", 21)), bytearray(range(256)) * 4 + bytearray(192)
    fcntl.ioctl(descriptor, DOUBLE, doubled)
    expected = turned[::-1]
    LIBC.ioctl(descriptor, ctypes.c_ulong(LONG), (ctypes.c_char * len(turned)).from_buffer(turned))
    fcntl.ioctl(descriptor, BY_VALUE, 7)
    return {
        "doubled": struct.unpack("=Q", doubled)[0],
        "turned": turned == expected,
        "values": values,
        "errors": [error_of(descriptor, REFUSED), error_of(descriptor, UNKNOWN)],
    }


class Alarm(BaseException):
    """Ends a call that waits."""


def interrupted(call: object) -> bool:
    def stop(*_: object) -> None:
        raise Alarm

    signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        call()  # type: ignore[operator]
    except Alarm:
        return True
    return False


def reading(device: CharacterDevice, descriptor: int) -> dict[str, object]:
    os.set_blocking(descriptor, False)
    nothing = b""
    with contextlib.suppress(BlockingIOError):
        nothing = os.read(descriptor, 100)
    os.set_blocking(descriptor, True)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    silent = poll.poll(100)
    threading.Timer(0.3, device.say, (b"tick tock",)).start()
    woken = poll.poll(10_000)
    parts = [os.read(descriptor, 5).decode(), os.read(descriptor, 100).decode()]
    threading.Timer(0.3, device.say, (b"later",)).start()
    waited = os.read(descriptor, 100).decode()
    return {
        "nothing": nothing.decode(),
        "silent": len(silent),
        "woken": len(woken),
        "parts": parts,
        "waited": waited,
        "interrupted_read": interrupted(lambda: os.read(descriptor, 1)),
    }


def waiting(descriptor: int) -> dict[str, object]:
    interrupted_wait = interrupted(lambda: fcntl.ioctl(descriptor, WAITING, 0))
    threading.Timer(0.3, released.set).start()
    started = time.monotonic()
    fcntl.ioctl(descriptor, WAITING, 0)
    return {"interrupted_wait": interrupted_wait, "waited_for": time.monotonic() - started}


def main() -> dict[str, object]:
    device = CharacterDevice("test0", CONTROLS, hear=heard.append, exclusive=True)
    descriptor = os.open(device.path, os.O_RDWR)
    result: dict[str, object] = {}
    try:
        os.open(device.path, os.O_RDWR)
    except OSError as error:
        result["second_open"] = errno.errorcode[error.errno or 0]
    os.write(descriptor, b"hello")
    result |= ioctls(descriptor) | reading(device, descriptor) | waiting(descriptor)
    result["heard"] = [data.decode() for data in heard]
    os.close(descriptor)
    os.close(os.open(device.path, os.O_RDWR))
    with CharacterDevice("test1", {}) as second:
        result["two_at_once"] = second.path.exists() and device.path.exists()
    descriptor = os.open(device.path, os.O_RDWR)
    device.close()
    result["path_is_gone"] = not device.path.exists()
    result["unplugged"] = error_of(descriptor, BY_VALUE)
    return result


print("GUEST RESULT", json.dumps(main()))
