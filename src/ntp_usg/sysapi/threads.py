"""Blocking calls that nothing can interrupt, in threads that nobody waits for."""

import asyncio
import contextlib
import errno
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_own_thread(work: Callable[[], Result], name: str) -> Result:
    """What `work` returns or raises, done in a thread of its own; cancelled, it is left alone.

    With a dead name server getaddrinfo takes tens of seconds. asyncio's own threads are waited for when the loop and
    when Python ends; a daemon thread ends with the process. A helper process would end as fast, but costs the memory
    of one. Raises OSError where the machine has no thread left for us.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def deliver(result: Result | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(result)  # type: ignore[arg-type]
        else:
            done.set_exception(error)

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - it is for who waits
            failure = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(deliver, result, failure)

    try:
        threading.Thread(target=run, name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, f"{error}") from error
    return await done
