"""Signals are remembered, delivered and never deadly, from before there is a loop until after it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from ntp_usg.daemon.signals import CAUGHT, Signals


@pytest.fixture
def signals():
    before = {number: signal.getsignal(number) for number in CAUGHT}
    caught = Signals()
    caught.catch()
    yield caught
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_signal_that_came_before_anybody_asked_is_acted_on_once(signals):
    heard = []
    os.kill(os.getpid(), signal.SIGHUP)
    signals.on(signal.SIGHUP, lambda: heard.append("hangup"))
    signals.on(signal.SIGTERM, lambda: heard.append("end"))
    assert heard == ["hangup"]


@pytest.mark.parametrize("number", CAUGHT)
def test_a_signal_ends_the_wait_of_the_loop(signals, number):
    async def main():
        told = asyncio.Event()
        signals.on(number, told.set)
        with signals.wake(asyncio.get_running_loop(), by_descriptor=True):
            timer = threading.Timer(0.02, os.kill, (os.getpid(), number))
            timer.start()
            async with asyncio.timeout(10):
                await told.wait()
            timer.join()

    asyncio.run(main())


def test_a_signal_that_interrupts_another_thread_is_heard_too(signals):
    async def main():
        told = asyncio.Event()
        signals.on(signal.SIGHUP, told.set)
        with signals.wake(asyncio.get_running_loop(), by_descriptor=True):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})  # the main thread is not to be interrupted
            thread = threading.Thread(target=hang_up)
            thread.start()
            async with asyncio.timeout(10):
                await told.wait()
            thread.join()

    def hang_up():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        os.kill(os.getpid(), signal.SIGHUP)

    try:
        asyncio.run(main())
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def test_a_signal_after_the_loop_waits_for_the_next_one_that_asks(signals):
    async def main():
        with signals.wake(asyncio.get_running_loop(), by_descriptor=True):
            pass

    asyncio.run(main())
    os.kill(os.getpid(), signal.SIGTERM)
    heard = []
    signals.on(signal.SIGTERM, lambda: heard.append("end"))
    assert heard == ["end"]


@pytest.mark.parametrize("number", CAUGHT)
def test_no_signal_kills_a_process_at_its_end(number):
    program = f"""
        import os, sys
        from ntp_usg.daemon.signals import Signals
        signals = Signals()
        signals.catch()
        os.kill(os.getpid(), {number:d})
        signals.ignore()
        class Last:
            def __init__(self): self.kill, self.pid = os.kill, os.getpid()
            def __del__(self): self.kill(self.pid, {number:d})
        sys.last = Last()  # goes when the interpreter does
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=20)


def test_it_imports_nothing_that_takes_long():
    program = (
        "import sys; from ntp_usg.daemon.signals import Signals; print({'asyncio', 'numpy', 'typer'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout == "set()\n"
