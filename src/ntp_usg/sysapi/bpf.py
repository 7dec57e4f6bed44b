"""Programs and tables inside the kernel: bpf(2), without a library. Layouts are those of `union bpf_attr`."""

import ctypes
import errno
import mmap
import os
import platform
import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import TypeAlias

from ntp_usg.sysapi.libc import LIBC, check

_SYSCALLS = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "armv7l": 386, "i686": 357, "ppc64le": 361}

_ELEMENT = struct.Struct("=I4xQQQ")  # map, key, value, flags
_BATCH = struct.Struct("=QQQQIIQQ")  # in, out, keys, values, count, map, element flags, flags
_BATCH_COUNT_AT = 32
_TEST_RUN = struct.Struct("=IIIIQQIIIIQQ")  # program, result, sizes, places, repeat, duration, the same of the context
_BATCH_ENTRIES = 4096
_LOG_SIZE = 1 << 18

_Buffer: TypeAlias = "ctypes.Array[ctypes.c_char]"


class Command(IntEnum):
    """What bpf(2) is asked for."""

    MAP_CREATE = 0
    MAP_LOOKUP = 1
    MAP_UPDATE = 2
    MAP_DELETE = 3
    PROGRAM_LOAD = 5
    PROGRAM_TEST_RUN = 10
    MAP_FREEZE = 22
    MAP_LOOKUP_BATCH = 24
    MAP_UPDATE_BATCH = 26
    LINK_CREATE = 28
    LINK_UPDATE = 29


class MapKind(IntEnum):
    """enum bpf_map_type: those that we use."""

    HASH = 1
    ARRAY = 2
    PER_CPU_ARRAY = 6
    LRU_HASH = 9
    LPM_TRIE = 11


class MapFlag(IntFlag):
    """Flags of MAP_CREATE."""

    NONE = 0
    NO_PREALLOCATION = 0x1
    READ_ONLY_FOR_PROGRAM = 0x80
    MAPPABLE = 0x400


class ProgramFlag(IntFlag):
    """Flags of PROGRAM_LOAD."""

    NONE = 0
    BOUND = 0x40
    """For one interface's driver, whose functions it may call; on the host nevertheless. Since Linux 6.3."""


class XdpFlag(IntFlag):
    """How an XDP program is attached; XDP_FLAGS_ of linux/if_link.h."""

    GENERIC = 0x2
    NATIVE = 0x4
    OFFLOAD = 0x8


class XdpAction(IntEnum):
    """What an XDP program decides."""

    ABORTED = 0
    DROP = 1
    PASS = 2
    TRANSMIT = 3


_XDP_PROGRAM, _XDP_ATTACHMENT = 6, 37


class VerifierError(OSError):
    """The kernel will not load a program; `log` is all that it says about why."""

    def __init__(self, number: int, log: str) -> None:
        super().__init__(number, os.strerror(number))
        self.log = log


class Handle:
    """A descriptor of something in the kernel, which lasts as long as that is open and no longer."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def close(self) -> None:
        """Let go of it; a second time does nothing."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


class Map(Handle):
    """A table that programs in the kernel and we share. All of its calls raise OSError where the kernel refuses."""

    def __init__(
        self, kind: MapKind, name: str, sizes: tuple[int, int], entries: int, flags: MapFlag = MapFlag.NONE
    ) -> None:
        """`sizes` are the octets of a key and of a value."""
        key_size, value_size = sizes
        attributes = struct.pack("=5I8x16s", kind, key_size, value_size, entries, flags, name.encode()[:15])
        super().__init__(bpf(Command.MAP_CREATE, attributes))
        self.entries = entries
        self._key_size = key_size
        # A value for each CPU is read as so many multiples of eight octets.
        self._value_size = -(-value_size // 8) * 8 * possible_cpus() if kind is MapKind.PER_CPU_ARRAY else value_size

    def __getitem__(self, key: bytes) -> bytes:
        """The value, of each possible CPU one after the other where each has its own. KeyError where there is none."""
        value = ctypes.create_string_buffer(self._value_size)
        try:
            self._element(Command.MAP_LOOKUP, key, ctypes.addressof(value))
        except FileNotFoundError:
            raise KeyError(key) from None
        return value.raw

    def __setitem__(self, key: bytes, value: bytes) -> None:
        buffer = ctypes.create_string_buffer(value, len(value))
        self._element(Command.MAP_UPDATE, key, ctypes.addressof(buffer))

    def __delitem__(self, key: bytes) -> None:
        self._element(Command.MAP_DELETE, key, 0)

    def freeze(self) -> None:
        """Let nobody change it from here on: the verifier then takes its values for constants."""
        bpf(Command.MAP_FREEZE, struct.pack("=I", self.descriptor))

    def mapped(self) -> mmap.mmap:
        """The memory of a MAPPABLE array."""
        return mmap.mmap(self.descriptor, self.entries * self._value_size)

    def update_many(self, entries: Sequence[tuple[bytes, bytes]]) -> None:
        """Set many entries at once."""
        keys = ctypes.create_string_buffer(b"".join(key for key, _ in entries))
        values = ctypes.create_string_buffer(b"".join(value for _, value in entries))
        addresses = 0, 0, ctypes.addressof(keys), ctypes.addressof(values)
        bpf(Command.MAP_UPDATE_BATCH, _BATCH.pack(*addresses, len(entries), self.descriptor, 0, 0))

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries of a hash, read in batches while it goes on changing."""
        for keys, values, count in self._batches():
            yield from zip(_cut(keys, self._key_size, count), _cut(values, self._value_size, count), strict=True)

    def columns(self) -> tuple[bytearray, bytearray]:
        """All keys of a hash one after the other, and their values: what arrays are made of."""
        columns = bytearray(), bytearray()
        for keys, values, count in self._batches():
            columns[0].extend(memoryview(keys)[: count * self._key_size])
            columns[1].extend(memoryview(values)[: count * self._value_size])
        return columns

    def __len__(self) -> int:
        """How many entries a hash has, which takes as long as reading them."""
        return sum(count for _, _, count in self._batches())

    def _batches(self) -> Iterator[tuple[_Buffer, _Buffer, int]]:
        keys = ctypes.create_string_buffer(_BATCH_ENTRIES * self._key_size)
        values = ctypes.create_string_buffer(_BATCH_ENTRIES * self._value_size)
        place = ctypes.create_string_buffer(max(self._key_size, 8))
        at = 0
        while True:
            addresses = at, ctypes.addressof(place), ctypes.addressof(keys), ctypes.addressof(values)
            attributes = bytearray(_BATCH.pack(*addresses, _BATCH_ENTRIES, self.descriptor, 0, 0))
            finished = False
            try:
                bpf(Command.MAP_LOOKUP_BATCH, attributes)
            except FileNotFoundError:  # these are the last
                finished = True
            (count,) = struct.unpack_from("=I", attributes, _BATCH_COUNT_AT)
            yield keys, values, count
            if finished:
                return
            at = ctypes.addressof(place)

    def _element(self, command: Command, key: bytes, value_at: int) -> None:
        buffer = ctypes.create_string_buffer(key, len(key))
        bpf(command, _ELEMENT.pack(self.descriptor, ctypes.addressof(buffer), value_at, 0))


class Program(Handle):
    """An XDP program that the kernel has verified and compiled.

    Raises VerifierError where it does not accept the instructions, OSError where it does not even look at them.
    """

    def __init__(
        self,
        name: str,
        instructions: bytes,
        licence: str,
        interface: int = 0,
        flags: ProgramFlag = ProgramFlag.NONE,
    ) -> None:
        """`interface` is that of the card to run it on, where it is one that can, or to which it is BOUND; 0 = any."""
        code = ctypes.create_string_buffer(instructions, len(instructions))
        terms = ctypes.create_string_buffer(licence.encode())
        log = ctypes.create_string_buffer(_LOG_SIZE)

        def attributes(level: int) -> bytes:
            places = ctypes.addressof(code), ctypes.addressof(terms)
            logging = (level, _LOG_SIZE, ctypes.addressof(log)) if level else (0, 0, 0)
            end = name.encode()[:15], interface, _XDP_ATTACHMENT
            start = _XDP_PROGRAM, len(instructions) // 8, *places, *logging
            return struct.pack("=IIQQIIQII16sII", *start, 0, flags, *end)

        try:
            descriptor = bpf(Command.PROGRAM_LOAD, attributes(0))
        except OSError:
            try:  # once more, to hear why
                descriptor = bpf(Command.PROGRAM_LOAD, attributes(1))
            except OSError as error:
                text = log.value.decode(errors="replace").strip()
                if text:
                    raise VerifierError(error.errno or errno.EINVAL, text) from None
                raise
        super().__init__(descriptor)

    def run(self, frame: bytes, interface: int = 1, repeat: int = 1) -> tuple[XdpAction, bytes, int]:
        """Have it look at a frame as if it came in on an interface: what it decides, the frame after, and ns for each.

        After one with `repeat` the frame is what the first left and the others saw.
        """
        given = ctypes.create_string_buffer(frame, len(frame))
        left = ctypes.create_string_buffer(len(frame) + 256)
        context = ctypes.create_string_buffer(struct.pack("=6I", 0, len(frame), 0, interface, 0, 0), 24)
        sizes, places = (len(frame), len(left)), (ctypes.addressof(given), ctypes.addressof(left))
        end = repeat, 0, len(context), 0, ctypes.addressof(context), 0
        attributes = bytearray(_TEST_RUN.pack(self.descriptor, 0, *sizes, *places, *end))
        bpf(Command.PROGRAM_TEST_RUN, attributes)
        _, decided, _, size, _, _, _, duration, *_ = _TEST_RUN.unpack(attributes)
        return XdpAction(decided), left.raw[:size], duration


class Link(Handle):
    """A program at work on an interface; ends with this process, however that ends. OSError where it cannot be."""

    def __init__(self, program: Program, interface: int, mode: XdpFlag) -> None:
        self.interface = interface
        self.mode = mode
        attributes = struct.pack("=IIII", program.descriptor, interface, _XDP_ATTACHMENT, mode)
        super().__init__(bpf(Command.LINK_CREATE, attributes))

    def replace(self, program: Program) -> None:
        """Have another program see every packet from the next one on."""
        bpf(Command.LINK_UPDATE, struct.pack("=IIII", self.descriptor, program.descriptor, 0, 0))


def possible_cpus() -> int:
    """How many CPUs the kernel keeps values for."""
    text = Path("/sys/devices/system/cpu/possible").read_text().strip()
    ranges = [part.split("-") for part in text.split(",")]
    return sum(int(bounds[-1]) - int(bounds[0]) + 1 for bounds in ranges)


def _cut(buffer: _Buffer, size: int, count: int) -> Iterator[bytes]:
    data = buffer.raw
    return (data[at : at + size] for at in range(0, count * size, size))


def bpf(command: Command, attributes: bytes | bytearray) -> int:
    """The system call; where `attributes` can be written to, it also returns what the kernel wrote there."""
    number = _SYSCALLS.get(platform.machine())
    if number is None:
        raise OSError(errno.ENOSYS, f"bpf: its number on {platform.machine()} is not known")
    buffer = ctypes.create_string_buffer(bytes(attributes), len(attributes))
    arguments = ctypes.c_long(number), ctypes.c_long(command), buffer, ctypes.c_long(len(attributes))
    try:
        return check(LIBC.syscall(*arguments), f"bpf {command.name}")
    finally:
        if isinstance(attributes, bytearray):
            attributes[:] = buffer.raw
