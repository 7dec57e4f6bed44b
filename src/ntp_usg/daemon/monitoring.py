"""Mode 6 in the control process: requests that the workers handed up, answered in the background."""

import asyncio
import logging
import platform
import secrets
from collections import Counter
from collections.abc import Callable
from functools import partial

from ntp_usg import __version__
from ntp_usg.core.base.errors import BusyError
from ntp_usg.core.base.verdicts import Outcome, Reason, Verdict
from ntp_usg.core.server.monitor import Identity, answer_control
from ntp_usg.core.server.mru import MruList
from ntp_usg.daemon.background import Background
from ntp_usg.daemon.state import DaemonState

MOST_OF_A_CLIENT = 4
"""Requests of one client that may wait; ntpq sends one after the other."""

ANSWERED = Verdict(Outcome.ANSWERED, Reason.MONITOR)
MALFORMED = Verdict(Outcome.DROPPED, Reason.BAD_FORMAT)
TOO_MANY = Verdict(Outcome.DROPPED, Reason.QUEUE_FULL)
NOT_SENT = Verdict(Outcome.DROPPED, Reason.SEND_FAILED)

log = logging.getLogger(__name__)


class Monitoring:
    """Answers ntpq. The worker has checked each request against `access.monitor` and the rate limit."""

    def __init__(self, state: DaemonState, background: Background) -> None:
        self._state = state
        self._background = background
        self._mru = MruList(secrets.token_bytes(32), state.list_clients)
        self._identity = Identity(f"ntp_usg {__version__}", platform.machine(), f"Linux/{platform.release()}")
        self._waiting: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, packet: bytes, client: bytes, reply: Callable[[bytes], bool]) -> None:
        """Answer `packet` when its turn comes; `reply` says whether the kernel took an answer."""
        if self._waiting[client] >= MOST_OF_A_CLIENT:
            self._state.judge(TOO_MANY)
            return
        self._waiting[client] += 1
        task = asyncio.get_running_loop().create_task(self._answer(packet, client, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, packet: bytes, client: bytes, reply: Callable[[bytes], bool]) -> None:
        work = partial(
            answer_control,
            packet,
            self._state.snapshot(),
            self._identity,
            self._state.now(),
            tell_clients=partial(self._mru.answer, client),
            tell_occupancy=self._state.occupancy,
        )
        try:
            fragments = await self._background.do(work)
        except BusyError:
            self._state.judge(TOO_MANY)
        except Exception:
            log.exception("A mode 6 request of ntpq could not be answered; please report this")
            self._state.judge(NOT_SENT)
        else:
            self._state.judge(MALFORMED if not fragments else ANSWERED if all(map(reply, fragments)) else NOT_SENT)
        finally:
            self._waiting[client] -= 1
            if not self._waiting[client]:
                del self._waiting[client]
