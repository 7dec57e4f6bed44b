"""The SOCK driver, with a sender in this process."""

import asyncio
import math
import socket
import struct
import time

import pytest

from ntp_usg.core.base.errors import WireError
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.core.engine.settings import ClockSettings, PulseSettings
from ntp_usg.refclocks.sock import MAGIC, SockDriver, SockOptions, parse_sock_sample

LONG, SHORT = "=qqdiiii", "=iidiiii"


def datagram(at_us: int, offset: float, *, pulse=0, leap=0, magic=MAGIC, layout=LONG) -> bytes:
    return struct.pack(layout, at_us // 1_000_000, at_us % 1_000_000, offset, pulse, leap, 0, magic)


def now_us() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def path(tmp_path):
    return tmp_path / "refclock.sock"


def play(recorder, options: SockOptions, conversation) -> None:
    """Run the driver while `conversation(send)` sends to it."""

    async def scenario():
        path = options.device
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            async with recorder.watching(SockDriver(options)):
                await asyncio.sleep(0.02)
                await conversation(lambda data: sender.sendto(data, path))

    asyncio.run(scenario())


@pytest.mark.parametrize("layout", [LONG, SHORT])
def test_a_sample_of_either_word_size_is_a_reading(recorder, path, layout):
    at = now_us()

    async def conversation(send):
        send(datagram(at, -0.25, leap=1, layout=layout))
        await recorder.until(lambda: recorder.samples and recorder.statuses)

    play(recorder, SockOptions(device=str(path)), conversation)
    (reading,) = recorder.samples
    assert (reading.at, reading.offset_ns, reading.leap) == (at * 1000, -250_000_000, 1)
    assert [status.connected for status in recorder.statuses] == [True]
    assert not path.exists()


def test_a_pulse_is_where_the_hosts_clock_read_its_offset(recorder, path):
    second = now_us() // 1_000_000
    before = (second - 1) * 1_000_000

    async def conversation(send):
        send(datagram(before + 123, 0.000123456, pulse=1))
        send(datagram(before - 1, -0.0000005, pulse=1))
        await recorder.until(lambda: len(recorder.pulses) == 2)

    play(recorder, SockOptions(device=str(path), pulse=True), conversation)
    first, second = recorder.pulses
    assert (first.edge_at, first.sequence) == (before * 1000 + 123_456, 1)
    assert (second.edge_at, second.sequence) == (before * 1000 - 500, 2)


@pytest.mark.parametrize(
    ("late_us", "offset", "fields", "reason"),
    [
        (10_000_000, 0.0, {}, Reason.STALE),
        (-10_000_000, 0.0, {}, Reason.STALE),
        (0, -1e9, {}, Reason.IMPLAUSIBLE),
        (0, 1e300, {}, Reason.IMPLAUSIBLE),
        (0, math.inf, {}, Reason.IMPLAUSIBLE),
        (0, math.nan, {}, Reason.IMPLAUSIBLE),
        (0, 0.0, {"leap": 4}, Reason.IMPLAUSIBLE),
        (0, 0.0, {"magic": 0}, Reason.IMPLAUSIBLE),
        (0, 0.0, {"pulse": 1}, Reason.IMPLAUSIBLE),
    ],
)
def test_a_sample_of_no_use_is_a_verdict(recorder, path, late_us, offset, fields, reason):
    async def conversation(send):
        send(datagram(now_us() - late_us, offset, **fields))
        await recorder.until(lambda: recorder.verdicts)

    play(recorder, SockOptions(device=str(path)), conversation)
    assert [verdict.reason for verdict in recorder.verdicts] == [reason]
    assert not recorder.samples
    assert not recorder.statuses


def test_silence_is_told_without_taking_the_socket_from_its_sender(recorder, path):
    async def scenario():
        async with recorder.watching(SockDriver(SockOptions(device=str(path), timeout_secs=0.05))):
            await asyncio.sleep(0.02)
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.connect(str(path))
                await recorder.until(lambda: recorder.statuses)
                sender.send(datagram(now_us(), 0.0))
                await recorder.until(lambda: len(recorder.statuses) == 2)

    asyncio.run(scenario())
    assert [status.connected for status in recorder.statuses] == [False, True]
    assert "no usable sample for 0.05 s" in recorder.statuses[0].detail


@pytest.mark.usefixtures("impatient")
def test_a_socket_that_was_removed_is_made_again(recorder, path):
    async def conversation(send):
        path.unlink()
        await recorder.until(lambda: recorder.statuses)
        while not path.is_socket():  # noqa: ASYNC110 - the driver's socket has nothing to await
            await asyncio.sleep(0.005)
        send(datagram(now_us(), 0.0))
        await recorder.until(lambda: recorder.samples)

    play(recorder, SockOptions(device=str(path), timeout_secs=0.05), conversation)
    assert any("was removed" in status.detail for status in recorder.statuses)


def test_another_servers_socket_is_not_taken(recorder, path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))

        async def scenario():
            async with recorder.watching(SockDriver(SockOptions(device=str(path)))):
                await recorder.until(lambda: recorder.statuses)

        asyncio.run(scenario())
    assert "another program uses it" in recorder.statuses[0].detail
    assert path.is_socket()


@pytest.mark.parametrize("data", [b"", bytes(31), bytes(33), bytes(39), bytes(41), bytes(64)])
def test_another_length_is_no_sample(data):
    with pytest.raises(WireError, match="40 or 32 bytes"):
        parse_sock_sample(data)


def test_what_the_samples_are_decides_what_kind_of_source_it_is():
    assert isinstance(SockOptions().source(), ClockSettings)
    assert isinstance(SockOptions(pulse=True).source(), PulseSettings)
