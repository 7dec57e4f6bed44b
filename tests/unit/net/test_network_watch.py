"""News come through a pair of sockets instead of the kernel; time is what `sleep` was asked for."""

import asyncio
import logging
import socket
import struct
from collections.abc import Iterator

import pytest

from ntp_usg.net import network_watch
from ntp_usg.net.network_watch import BURST, SETTLE, SPACING, Pace, watch_network

ADDRESS_CAME = struct.pack("=IHHII", 28, 20, 0, 0, 0) + bytes(12)
ADDRESS_WENT = struct.pack("=IHHII", 28, 21, 0, 0, 0) + bytes(12)


class News(socket.socket):
    """As if the kernel had sent it."""

    def recvfrom(self, size: int, flags: int = 0) -> tuple[bytes, tuple[int, int]]:
        return self.recv(size, flags), (0, 1)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    theirs, made = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours = News(fileno=theirs.detach())
    ours.setblocking(False)
    monkeypatch.setattr(network_watch, "open_network_news", lambda: ours)
    with ours, made:
        yield made


def test_several_things_that_come_at_once_are_one_piece_of_news_and_what_goes_is_none(
    kernel: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_watch, "SETTLE", 0.01)
    returned: list[None] = []

    async def run() -> None:
        watching = asyncio.create_task(watch_network(lambda: returned.append(None)))
        for batch in ([ADDRESS_CAME] * 5, [ADDRESS_WENT], [ADDRESS_CAME]):
            for data in batch:
                kernel.send(data)
            await asyncio.sleep(0.1)
        watching.cancel()

    asyncio.run(run())
    assert len(returned) == 2


def test_a_burst_of_news_is_heard_at_once_and_endless_news_at_a_pace() -> None:
    pace, now, pauses = Pace(), 1000.0, []
    for _ in range(BURST + 3):
        pauses.append(pace.pause(now))
        now += pauses[-1]
    assert pauses[: BURST - 1] == [SETTLE] * (BURST - 1)
    assert pauses[-2:] == [SPACING] * 2
    assert pace.pause(now + 10 * SPACING) == SETTLE


def test_where_the_kernel_does_not_tell_people_hear_so_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> socket.socket:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(network_watch, "open_network_news", refuse)
    with caplog.at_level(logging.INFO):
        asyncio.run(watch_network(lambda: None))
    assert "does not tell of network changes (Address family not supported by protocol)" in caplog.text
