"""Character devices of our own, for the guest: /dev/NAME answers ioctls and reads as a test wants it (CUSE).

The kernel's modules fuse and cuse pass each call on a device to the process that made it, as a request of the FUSE
protocol over /dev/cuse (linux/fuse.h); what is read from there is one request, what is written one reply.

A caller in the same process must let go of the interpreter's lock: fcntl.ioctl does so for up to 1024 bytes only.
"""

import contextlib
import errno
import os
import select
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Self

_IN_HEADER = struct.Struct("=IIQQIIIHH")  # length, opcode, unique, node, user, group, process, reserve
_OUT_HEADER = struct.Struct("=IiQ")  # length, error, unique
_INIT_OUT = struct.Struct("=8I40x")  # version, unused, flags, most to read and write, device number, reserve
_READ_IN = struct.Struct("=QQIIQII")  # handle, offset, size, flags, owner, flags of the file, reserve
_IOCTL_IN = struct.Struct("=QIIQII")  # handle, flags, number, argument, sizes in and out
_IOCTL_OUT = struct.Struct("=iIII")  # result, flags, vectors in and out
_VECTOR = struct.Struct("=QQ")  # address, length
_POLL_IN = struct.Struct("=QQII")  # handle, handle of the kernel, flags, events

_UNRESTRICTED_IOCTL = _SCHEDULE_NOTIFY = _NOTIFY_POLL = 1
_IOCTL_RETRY = 4
_LONGEST_TRANSFER = 1 << 16
_LONGEST_REQUEST = _LONGEST_TRANSFER + 4096


class Opcode(IntEnum):
    """What a request asks for."""

    OPEN = 14
    READ = 15
    WRITE = 16
    RELEASE = 18
    INTERRUPT = 36
    IOCTL = 39
    POLL = 40
    INIT = 4096


@dataclass(frozen=True)
class Control:
    """What an ioctl does: takes the caller's bytes and returns those to put in their place, or raises an OSError.

    Without a size the bytes are the argument itself, 8 of them, and nothing is put back. One that `waits` may take its
    time: a thread is started for each call. A signal frees the caller, with EINTR; where it is not `interruptible` the
    signal has to wait: a driver in the kernel can have the call taken up again (ERESTARTSYS), which CUSE cannot.
    """

    handle: Callable[[bytes], bytes]
    size: int
    waits: bool = False
    interruptible: bool = True


def control(number: int, handle: Callable[[bytes], bytes]) -> Control:
    """One with the size that a well-formed number tells (_IOC_SIZE)."""
    return Control(handle, number >> 16 & 0x3FFF)


class CharacterDevice:
    """/dev/NAME while it is in use; ioctls that it has no control for are refused with ENOTTY."""

    def __init__(
        self,
        name: str,
        controls: Mapping[int, Control],
        *,
        hear: Callable[[bytes], None] = lambda _: None,
        exclusive: bool = False,
    ) -> None:
        """`hear` gets what is written to it; an `exclusive` device can be open once at a time, else EBUSY."""
        self.path = Path("/dev") / name
        self._controls = controls
        self._hear = hear
        self._exclusive = exclusive
        self._opened = 0
        self._lock = threading.RLock()
        self._said = bytearray()
        self._readers: list[tuple[int, int]] = []  # unique and size of the reads that wait
        self._pollers: set[int] = set()
        self._callers: dict[int, Control] = {}  # by unique numbers: the ioctls that wait
        self._end = os.eventfd(0)
        self._cuse = os.open("/dev/cuse", os.O_RDWR | os.O_CLOEXEC)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()
        while not self.path.exists():
            time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, data: bytes) -> None:
        """Let whoever reads have some bytes."""
        with self._lock:
            self._said += data
            while self._readers and self._said:
                self._give(*self._readers.pop(0))
            for handle in self._pollers:
                self._write(0, struct.pack("=Q", handle), _NOTIFY_POLL)
            self._pollers.clear()

    def close(self) -> None:
        """Unplug it: calls that wait fail, and its path is gone."""
        os.eventfd_write(self._end, 1)
        self._thread.join()

    def _serve(self) -> None:
        while self._end not in select.select([self._cuse, self._end], [], [])[0]:
            with contextlib.suppress(OSError):  # the caller was killed before we came to read it
                self._obey(os.read(self._cuse, _LONGEST_REQUEST))
        os.close(self._cuse)

    def _obey(self, request: bytes) -> None:
        _, opcode, unique, *_ = _IN_HEADER.unpack_from(request)
        body = request[_IN_HEADER.size :]
        with self._lock:
            match opcode:
                case Opcode.INIT:
                    sizes = _LONGEST_TRANSFER, _LONGEST_TRANSFER
                    answer = _INIT_OUT.pack(7, 31, 0, _UNRESTRICTED_IOCTL, *sizes, 0, 0)
                    self._write(unique, answer + f"DEVNAME={self.path.name}\0".encode())
                case Opcode.OPEN:
                    self._open(unique)
                case Opcode.READ:
                    self._read(unique, body)
                case Opcode.WRITE:
                    data = body[_READ_IN.size :]
                    self._hear(data)
                    self._write(unique, struct.pack("=II", len(data), 0))
                case Opcode.RELEASE:
                    self._opened -= 1
                    self._write(unique)
                case Opcode.INTERRUPT:
                    self._interrupt(*struct.unpack_from("=Q", body))
                case Opcode.IOCTL:
                    self._ioctl(unique, body)
                case Opcode.POLL:
                    self._poll(unique, body)
                case _:
                    self._write(unique, error=errno.ENOSYS)

    def _open(self, unique: int) -> None:
        if self._exclusive and self._opened:
            return self._write(unique, error=errno.EBUSY)
        self._opened += 1
        return self._write(unique, bytes(16))

    def _read(self, unique: int, body: bytes) -> None:
        _, _, size, _, _, flags, _ = _READ_IN.unpack_from(body)
        if self._said:
            self._give(unique, size)
        elif flags & os.O_NONBLOCK:
            self._write(unique, error=errno.EAGAIN)
        else:
            self._readers.append((unique, size))

    def _give(self, unique: int, size: int) -> None:
        self._write(unique, bytes(self._said[:size]))
        del self._said[:size]

    def _poll(self, unique: int, body: bytes) -> None:
        _, handle, flags, _ = _POLL_IN.unpack_from(body)
        if flags & _SCHEDULE_NOTIFY:
            self._pollers.add(handle)
        self._write(unique, struct.pack("=II", select.POLLOUT | select.POLLIN * bool(self._said), 0))

    def _interrupt(self, unique: int) -> None:
        readers = [reader for reader in self._readers if reader[0] != unique]
        caller = self._callers.get(unique)
        if (caller and caller.interruptible) or len(readers) < len(self._readers):
            self._callers.pop(unique, None)
            self._readers = readers
            self._write(unique, error=errno.EINTR)

    def _ioctl(self, unique: int, body: bytes) -> None:
        _, _, number, argument, size, _ = _IOCTL_IN.unpack_from(body)
        wanted = self._controls.get(number)
        if wanted is None:
            return self._write(unique, error=errno.ENOTTY)
        if wanted.size and not size:  # the kernel does not know how much to copy, and comes again when it was told
            vector = _VECTOR.pack(argument, wanted.size)
            return self._write(unique, _IOCTL_OUT.pack(0, _IOCTL_RETRY, 1, 1) + vector + vector)
        data = body[_IOCTL_IN.size :] if wanted.size else struct.pack("=Q", argument)
        self._callers[unique] = wanted
        if wanted.waits:
            threading.Thread(target=self._answer, args=(unique, wanted, data), daemon=True).start()
            return None
        return self._answer(unique, wanted, data)

    def _answer(self, unique: int, wanted: Control, data: bytes) -> None:
        answer, error = b"", 0
        try:
            answer = wanted.handle(data)[: wanted.size]
        except OSError as refusal:
            error = refusal.errno or errno.EIO
        with self._lock:
            if self._callers.pop(unique, None):
                self._write(unique, b"" if error else _IOCTL_OUT.pack(0, 0, 0, 0) + answer, error=error)

    def _write(self, unique: int, body: bytes = b"", notice: int = 0, *, error: int = 0) -> None:
        """A reply; without a request to reply to (`unique` 0) a notice, whose code stands in the place of the error."""
        with contextlib.suppress(FileNotFoundError):  # whoever asked has been killed
            os.write(self._cuse, _OUT_HEADER.pack(_OUT_HEADER.size + len(body), notice or -error, unique) + body)
