import asyncio
import threading
import time

import pytest

from ntp_usg.sysapi.threads import in_own_thread


def fail() -> int:
    raise OSError("unknown host")


def test_what_the_work_returns_or_raises_comes_back_from_another_thread() -> None:
    here = threading.get_ident()
    assert asyncio.run(in_own_thread(threading.get_ident, "work")) != here
    with pytest.raises(OSError, match="unknown host"):
        asyncio.run(in_own_thread(fail, "work"))


@pytest.mark.fault(
    group="Servers",
    kind="The name server is dead when a server or gpsd is looked up.",
    noticed="The look-up runs in a thread that nobody waits for; the log says `unknown host` when it fails.",
    served="Time from the other sources; stopping and commands do not wait for the name server.",
)
def test_work_that_never_ends_holds_up_neither_a_deadline_nor_the_end_of_the_loop() -> None:
    forever = threading.Event()

    async def run() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await in_own_thread(lambda: forever.wait(60), "work")

    begun = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - begun < 20
    [thread] = [each for each in threading.enumerate() if each.name == "work"]
    assert thread.daemon, "Python would wait for it at its end"
    forever.set()
    thread.join()
