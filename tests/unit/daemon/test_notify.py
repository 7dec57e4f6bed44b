"""What the service manager hears: life in time, and news of the status as it comes."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from ntp_usg.daemon.notify import STATUS_SECONDS, ServiceManager


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ours:
        ours.bind(str(tmp_path / "notify"))
        ours.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        yield ours


def heard(channel: socket.socket) -> list[str]:
    channel.settimeout(0)
    found = []
    try:
        while True:
            found.append(channel.recv(1000).decode())
    except BlockingIOError:
        return found


def run(manager: ServiceManager, *standings: object) -> None:
    """Inform for a moment, with a look at each of these."""

    async def main() -> None:
        informing = asyncio.create_task(manager.inform())
        for standing in standings:
            await asyncio.sleep(0.01)
            manager.look(standing)
        await asyncio.sleep(0.01)
        informing.cancel()

    asyncio.run(main())


def test_without_a_service_manager_no_status_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    manager = ServiceManager(lambda: pytest.fail("nobody wants to know"))
    manager.look("news")
    asyncio.run(asyncio.wait_for(manager.inform(), 1))


def test_news_are_told_at_once_and_a_status_that_has_not_changed_is_not_told_again(channel: socket.socket) -> None:
    lines = iter(["locking", "synchronised", "synchronised"])
    run(ServiceManager(lambda: next(lines)), None, "leader", "leader", "another")
    assert STATUS_SECONDS > 1
    assert heard(channel) == ["WATCHDOG=1\nSTATUS=locking", "WATCHDOG=1\nSTATUS=synchronised", "WATCHDOG=1"]


def test_the_watchdog_hears_of_us_twice_in_its_time(channel: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    manager = ServiceManager(lambda: "locking")

    async def main() -> None:
        informing = asyncio.create_task(manager.inform())
        await asyncio.sleep(0.2)
        informing.cancel()

    asyncio.run(main())
    assert len(heard(channel)) >= 3
