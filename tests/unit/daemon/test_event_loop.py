"""The event loop on select() alone: what asyncio does elsewhere is done on the spot, and signals end the wait."""

import asyncio
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.daemon import event_loop
from ntp_usg.daemon.event_loop import SelectLoop
from ntp_usg.sysapi.environment import only_select


@pytest.fixture
def select_only(monkeypatch):
    monkeypatch.setenv("NTP_USG_EVENT_LOOP", "select")


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def the_loop():
    return type(asyncio.get_running_loop())


def test_the_environment_chooses(monkeypatch):
    monkeypatch.delenv("NTP_USG_EVENT_LOOP", raising=False)
    assert event_loop.run(the_loop()) is not SelectLoop
    monkeypatch.setenv("NTP_USG_EVENT_LOOP", "select")
    assert event_loop.run(the_loop()) is SelectLoop


def test_a_loop_that_nobody_knows_is_refused(monkeypatch):
    monkeypatch.setenv("NTP_USG_EVENT_LOOP", "selct")
    with pytest.raises(NtpUsgError, match="NTP_USG_EVENT_LOOP=selct: there is no such event loop"):
        only_select()


def test_work_for_a_thread_is_done_in_this_one(select_only):
    async def main():
        loop = asyncio.get_running_loop()
        assert await asyncio.to_thread(threading.get_ident) == threading.get_ident()
        with ThreadPoolExecutor() as pool:
            assert await loop.run_in_executor(pool, threading.get_ident) == threading.get_ident()
        assert threading.active_count() == threads

    threads = threading.active_count()
    event_loop.run(main())


def test_an_error_in_such_work_is_the_callers(select_only):
    async def main():
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(divmod, 1, 0)

    event_loop.run(main())


def test_names_are_looked_up(select_only):
    async def main():
        return await asyncio.get_running_loop().getaddrinfo("127.0.0.1", 123, type=socket.SOCK_DGRAM)

    assert [address for *_, address in event_loop.run(main())] == [("127.0.0.1", 123)]


def test_it_opens_no_files_of_its_own(select_only):
    async def main():
        return open_files()

    before = open_files()
    assert event_loop.run(main()) == before


def test_it_hears_from_sockets(select_only):
    async def main():
        with (
            socket.socket(type=socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as ours,
            socket.socket(type=socket.SOCK_DGRAM) as theirs,
        ):
            ours.bind(("127.0.0.1", 0))
            asyncio.get_running_loop().call_later(0.01, theirs.sendto, b"hello", ours.getsockname())
            return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(ours, 100), 10)

    assert event_loop.run(main()) == b"hello"


@pytest.fixture
def on_signal():
    """Have SIGUSR1 do something within a loop."""
    before = signal.getsignal(signal.SIGUSR1)

    def arrange(loop, action):
        signal.signal(signal.SIGUSR1, lambda *_: loop.call_soon_threadsafe(action))

    yield arrange
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_ends_a_wait_without_end(select_only, on_signal):
    async def main():
        told = asyncio.Event()
        on_signal(asyncio.get_running_loop(), told.set)
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGUSR1))
        timer.start()
        await told.wait()
        timer.join()

    started = time.monotonic()
    event_loop.run(main())
    assert time.monotonic() - started < 10


def test_signals_that_come_while_nothing_waits_disturb_nothing(select_only, on_signal):
    async def main():
        count = 0

        def heard():
            nonlocal count
            count += 1

        on_signal(asyncio.get_running_loop(), heard)
        for _ in range(100):
            os.kill(os.getpid(), signal.SIGUSR1)
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return count

    assert event_loop.run(main()) == 100
