"""Keeps a fault of ours in one part from ending the daemon: it is logged once, and the part is tried again later."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from ntp_usg.core.base.errors import ClockError, NtpUsgError

log = logging.getLogger(__name__)

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 600.0
"""Seconds until a part that failed is tried again, at first and at most; each failure doubles the pause."""
MOST_KINDS = 256
"""So many different faults are told apart; a daemon with more of them is beyond help."""


class FaultLog:
    """Logs each fault once with its traceback: a repetition says nothing new, and would fill the disk."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, str, int]] = set()

    def tell(self, what: str, error: BaseException) -> None:
        """Log that `what` failed, with the advice to report it."""
        kind = (what, type(error).__name__, _place(error))
        if kind in self._seen or len(self._seen) >= MOST_KINDS:
            return
        self._seen.add(kind)
        log.error("%s failed. This is a fault of ntp_usg: please report these lines", what, exc_info=error)

    def on_loop(self, _loop: asyncio.AbstractEventLoop, context: Mapping[str, Any]) -> None:
        """What the event loop calls for an exception in a callback of ours."""
        error = context.get("exception")
        if isinstance(error, BaseException):
            self.tell("A callback of the event loop", error)
        else:
            log.error("The event loop complains: %s", context.get("message"))


async def keep_running(
    what: str,
    work: Callable[[], Awaitable[None]],
    faults: FaultLog,
    on_failure: Callable[[str], None] = lambda _: None,
) -> None:
    """Do work that ends only when it is cancelled; when it fails, log that and begin again, ever later.

    `on_failure` hears in words what happened. A clock that refuses to be steered is no fault of one part: its
    ClockError passes.
    """
    pause = FIRST_PAUSE
    while True:
        started = asyncio.get_running_loop().time()
        try:
            return await work()
        except ClockError:
            raise
        except NtpUsgError as error:
            log.error("%s: %s", what, error)  # noqa: TRY400 - the text says it all
            on_failure(f"{error}")
        except Exception as error:  # noqa: BLE001 - a fault of ours, or of a driver of somebody else, may be anything
            faults.tell(what, error)
            on_failure(f"failed by a fault of the program ({type(error).__name__}): see the log")
        if asyncio.get_running_loop().time() - started > LONGEST_PAUSE:
            pause = FIRST_PAUSE
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


def _place(error: BaseException) -> int:
    """The line of code in which it was raised."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return hash((traceback.tb_frame.f_code, traceback.tb_lineno)) if traceback is not None else 0
