"""The shared memory driver, with a writer in this process."""

import asyncio
import ctypes
import os
import struct
import time
from collections.abc import Iterator

import pytest

from ntp_usg.core.base.errors import DeviceError
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.refclocks import shm
from ntp_usg.refclocks.shm import KEY, ShmDriver, ShmOptions
from ntp_usg.sysapi.libc import LIBC, check
from ntp_usg.sysapi.shared_memory import SharedMemory

LONG, SHORT = "=2iqi4xq5i2I36x", "=10i2I32x"
UNIT = 16 + os.getpid() % 240  # not one that a program of this machine may be using
_CREATE_EXCLUSIVELY, _REMOVE = 0o3000, 0


class Segment:
    """A segment as its writer has it."""

    def __init__(self, size: int, mode: int = 0o600) -> None:
        self.identifier = check(LIBC.shmget(KEY + UNIT, size, _CREATE_EXCLUSIVELY | mode), "shmget")
        self._address = LIBC.shmat(self.identifier, None, 0)

    def put(self, data: bytes) -> None:
        ctypes.memmove(self._address, data, len(data))

    def remove(self) -> None:
        LIBC.shmdt(self._address)
        LIBC.shmctl(self.identifier, _REMOVE, None)


@pytest.fixture
def segment(request) -> Iterator[Segment]:
    segment = Segment(getattr(request, "param", 96))
    yield segment
    segment.remove()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(shm, "_POLL_SECONDS", 0.005)


def record(clock_ns, host_ns, *, mode=1, count=2, leap=0, precision=-20, valid=1, fine=True, layout=LONG) -> bytes:
    clock, clock_ns = divmod(clock_ns, 10**9)
    host, host_ns = divmod(host_ns, 10**9)
    ns = (clock_ns, host_ns) if fine else (0xDEADBEEF, 7)
    return struct.pack(
        layout, mode, count, clock, clock_ns // 1000, host, host_ns // 1000, leap, precision, 3, valid, *ns
    )


def watch(recorder, until, **options) -> None:
    async def scenario():
        async with recorder.watching(ShmDriver(ShmOptions(unit=UNIT, **options))):
            await recorder.until(until)
            await asyncio.sleep(0.03)

    asyncio.run(scenario())


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize(("segment", "layout"), [(96, LONG), (80, SHORT)], indirect=["segment"])
def test_a_reading_is_reported_once(recorder, segment, mode, layout):
    now = time.time_ns()
    segment.put(record(now + 1_234, now, mode=mode, leap=1, layout=layout))
    watch(recorder, lambda: recorder.samples)
    (reading,) = recorder.samples
    assert (reading.at, reading.offset_ns, reading.dispersion, reading.leap) == (now, 1_234, 2**-20, 1)
    assert [status.connected for status in recorder.statuses] == [True]


def test_a_writer_without_nanoseconds_is_read_by_its_microseconds(recorder, segment):
    now = time.time_ns() // 1000 * 1000
    segment.put(record(now + 5_999, now, fine=False))
    watch(recorder, lambda: recorder.samples)
    assert recorder.samples[0].at == now
    assert recorder.samples[0].offset_ns == 5_000


def test_each_new_reading_is_reported(recorder, segment):
    async def scenario():
        async with recorder.watching(ShmDriver(ShmOptions(unit=UNIT))):
            for count in range(2, 5):
                now = time.time_ns()
                segment.put(record(now, now, count=count))
                await recorder.until(lambda wanted=count - 1: len(recorder.samples) == wanted)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("age", "ahead", "fields", "reason"),
    [
        (60, 0, {}, Reason.STALE),
        (-60, 0, {}, Reason.STALE),
        (0, -(10**18), {}, Reason.IMPLAUSIBLE),
        (0, 0, {"leap": -1}, Reason.IMPLAUSIBLE),
        (0, 0, {"mode": 2}, Reason.IMPLAUSIBLE),
    ],
)
def test_a_reading_of_no_use_is_a_verdict(recorder, segment, age, ahead, fields, reason):
    host = time.time_ns() - age * 10**9
    segment.put(record(host + ahead, host, **fields))
    watch(recorder, lambda: recorder.verdicts)
    assert {verdict.reason for verdict in recorder.verdicts} == {reason}
    assert not recorder.samples


def test_what_the_writer_does_not_call_valid_is_not_read_and_missed(recorder, segment):
    now = time.time_ns()
    segment.put(record(now, now, valid=0))
    watch(recorder, lambda: recorder.statuses, timeout_secs=0.05)
    assert not recorder.samples
    assert "nothing new for 0.05 s" in recorder.statuses[0].detail


@pytest.mark.usefixtures("impatient")
def test_a_missing_segment_is_told_with_advice_and_found_when_it_comes(recorder):
    async def scenario():
        async with recorder.watching(ShmDriver(ShmOptions(unit=UNIT))):
            await recorder.until(lambda: recorder.statuses)
            segment, now = Segment(96), time.time_ns()
            try:
                segment.put(record(now, now))
                await recorder.until(lambda: recorder.samples)
            finally:
                segment.remove()

    asyncio.run(scenario())
    assert "does not exist: is the program that writes it" in recorder.statuses[0].detail
    assert [status.connected for status in recorder.statuses] == [False, True]


@pytest.mark.parametrize("segment", [16], indirect=True)
def test_a_segment_too_small_for_a_time_is_refused(segment):
    with pytest.raises(DeviceError, match="too small"):
        SharedMemory(KEY + UNIT, (96, 80))


def test_the_source_is_named_as_ntpq_prints_it():
    assert ShmOptions(unit=2).source().name == "SHM(2)"


STRANGER = 65_534


@pytest.mark.fault(
    group="Attacks",
    kind="Another user of the machine makes NTP's shared memory segment and writes a false time.",
    noticed="The owner of the segment, and who made it, must be root, the server's user or `owner`.",
    served="Nothing from that segment; the log names the user.",
)
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_a_segment_of_a_user_who_is_not_trusted_is_refused_unless_the_configuration_names_him():
    os.seteuid(STRANGER)
    try:
        segment = Segment(96)
    finally:
        os.seteuid(0)
    try:
        with pytest.raises(DeviceError, match="belongs to user 65534, who is not trusted: set `owner`"):
            SharedMemory(KEY + UNIT, (96, 80))
        SharedMemory(KEY + UNIT, (96, 80), {STRANGER}).close()
    finally:
        segment.remove()


def test_a_segment_that_every_user_may_write_to_is_read_with_a_caution(recorder):
    segment, now = Segment(96, 0o666), time.time_ns()
    try:
        segment.put(record(now, now))
        watch(recorder, lambda: recorder.samples)
    finally:
        segment.remove()
    assert recorder.statuses[0].detail.endswith(", which every user of this machine may write to")
