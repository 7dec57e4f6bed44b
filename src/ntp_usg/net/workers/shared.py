"""What control and workers share as memory: the state to serve on the way down, counters and clients on the way up.

Nobody can change the size of it, and only control can write the state; what workers write, control believes no more
than a packet.

The state lies there twice. The writer fills the slot that nobody reads, with a number and a checksum, and then
announces the number. So neither side ever waits for the other, a writer stopped or killed half-way does no harm, and
no reordering of memory accesses (ARM promises no order) lets a torn state pass: it fails its checksum, the reader keeps
the state it had, and that expires by its own date.
"""

import mmap
import os
import struct
import zlib

from ntp_usg.core.base.instants import MonoNs, WallNs
from ntp_usg.core.base.mapping import ClockMapping
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.clients import BYTES_PER_CLIENT, ClientTable, table_bytes
from ntp_usg.net.counters import WORDS, VerdictCounters
from ntp_usg.sysapi.sealed_memory import create_memory, forbid_writing

_NUMBER = struct.Struct("=Q")
_CHECKSUM = struct.Struct("=I")
_STATE = struct.Struct("=BBb4s3dq 2q2dq 4q")
_SLOT_BYTES = _NUMBER.size + _STATE.size + _CHECKSUM.size
_SLOTS = (64, 320)  # each in cache lines of its own, as is the announced number at 0
_STATE_BYTES = 576
_COUNTER_BYTES = 8 * WORDS
_SEED_BYTES = 16
_CLIENTS_AT = 64


def create_state_memory() -> int:
    """A descriptor of anonymous memory for a StateWriter and any number of StateReaders."""
    return create_memory("ntp_usg state", _STATE_BYTES)


def create_counter_memory() -> int:
    """A descriptor of anonymous memory for `map_counters`, on both sides."""
    return create_memory("ntp_usg counters", _COUNTER_BYTES)


def map_counters(descriptor: int) -> VerdictCounters:
    """The counters that live behind a descriptor; they outlast the worker that writes them."""
    return VerdictCounters(memoryview(mmap.mmap(descriptor, _COUNTER_BYTES)).cast("Q"))


def create_client_memory(max_clients: int) -> int:
    """A descriptor of anonymous memory for `map_clients`, on both sides; clients stay known to the next worker."""
    descriptor = create_memory("ntp_usg clients", _CLIENTS_AT + table_bytes(max_clients))
    os.pwrite(descriptor, os.urandom(_SEED_BYTES), 0)
    return descriptor


def map_clients(descriptor: int) -> ClientTable:
    """The client table behind a descriptor; its writer is a worker."""
    memory = mmap.mmap(descriptor, os.fstat(descriptor).st_size)
    max_clients = (len(memory) - _CLIENTS_AT) // BYTES_PER_CLIENT
    return ClientTable(max_clients, memoryview(memory)[_CLIENTS_AT:], int.from_bytes(memory[:_SEED_BYTES], "big"))


def build_state(state: ServingState) -> bytes:
    """The state as bytes of fixed size, in this machine's order."""
    clock = state.mapping
    return _STATE.pack(
        *(state.leap, state.stratum, state.precision, state.reference_id),
        *(state.root_delay, state.root_dispersion, state.dispersion_rate, state.reference_time),
        *(clock.base_ns, clock.offset_ns, clock.rate, clock.slew_rate, clock.slew_ns),
        *(state.as_of, state.expires_at, state.host_minus_mono_ns, state.epoch),
    )


def parse_state(data: bytes) -> ServingState:
    """Undo build_state; only bytes that passed their checksum come here."""
    values = _STATE.unpack(data)
    leap, stratum, precision, reference_id, delay, dispersion, dispersion_rate, reference_time = values[:8]
    as_of, expires_at, host_minus_mono_ns, epoch = values[13:]
    return ServingState(
        leap=Leap(leap),
        stratum=stratum,
        precision=precision,
        root_delay=delay,
        root_dispersion=dispersion,
        dispersion_rate=dispersion_rate,
        reference_id=reference_id,
        reference_time=WallNs(reference_time),
        mapping=ClockMapping(*values[8:13]),
        as_of=MonoNs(as_of),
        expires_at=MonoNs(expires_at),
        host_minus_mono_ns=host_minus_mono_ns,
        epoch=epoch,
    )


class StateWriter:
    """The only writer, in the control process: from now on nobody else can be one."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _STATE_BYTES)
        forbid_writing(descriptor)
        self._number = 0

    def write(self, state: ServingState) -> None:
        self._number += 1
        slot = _NUMBER.pack(self._number) + build_state(state)
        at = _SLOTS[self._number % 2]
        self._memory[at : at + _SLOT_BYTES] = slot + _CHECKSUM.pack(zlib.crc32(slot))
        _NUMBER.pack_into(self._memory, 0, self._number)


class StateReader:
    """The worker's view; cheap enough to ask for every packet."""

    def __init__(self, descriptor: int) -> None:
        self._memory = mmap.mmap(descriptor, _STATE_BYTES, access=mmap.ACCESS_READ)
        self._announced = memoryview(self._memory).cast("Q")
        self._number = 0
        self._state = ServingState()

    def read(self) -> ServingState:
        """The newest whole state; unsynchronised before the first."""
        number = self._announced[0]
        if number != self._number:
            self._take(number)
        return self._state

    def _take(self, number: int) -> None:
        at = _SLOTS[number % 2]
        slot = self._memory[at : at + _SLOT_BYTES]
        body = slot[: -_CHECKSUM.size]
        if _CHECKSUM.unpack(slot[-_CHECKSUM.size :])[0] == zlib.crc32(body) and _NUMBER.unpack_from(body)[0] == number:
            self._number, self._state = number, parse_state(body[_NUMBER.size :])


def create_heartbeat_memory() -> int:
    """A descriptor of anonymous memory for a Heartbeat on both sides."""
    return create_memory("ntp_usg heartbeat", 16)


class Heartbeat:
    """How a worker shows that it does not hang: a number that changes whenever it has been woken."""

    def __init__(self, descriptor: int) -> None:
        self._words = memoryview(mmap.mmap(descriptor, 16)).cast("Q")

    def beat(self) -> None:
        self._words[0] = self._words[0] + 1 & 0xFFFFFFFF

    @property
    def count(self) -> int:
        return self._words[0]

    @property
    def busy(self) -> bool:
        """Whether the worker says that its next beat will take long."""
        return bool(self._words[1])

    @busy.setter
    def busy(self, value: bool) -> None:
        self._words[1] = value
