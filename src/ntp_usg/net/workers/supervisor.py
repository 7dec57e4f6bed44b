"""The control process's side of answering: keeps one worker alive, feeds it, and hears what it hands up."""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from functools import partial

from ntp_usg.core.base.errors import NtpUsgError, WireError
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.net.service import OnRequest, Route
from ntp_usg.net.workers.channel import Kind, build_packet, build_policy, parse_message, parse_packet
from ntp_usg.net.workers.link import WorkerLink
from ntp_usg.net.workers.shared import StateWriter, create_counter_memory, create_state_memory, map_counters

START_SECONDS = 10.0
"""How long a worker may take to become ready."""
STOP_SECONDS = 1.0
"""How long it may take to end when asked to."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before a dead worker is replaced: doubled each time, until one has lived longer than the longest."""

_log = logging.getLogger(__name__)


class SupervisedWorker:
    """Answers from a process of their own; an AnsweringService."""

    def __init__(
        self, endpoints: Sequence[socket.socket], policy: ServerPolicy, account: tuple[int, int], on_request: OnRequest
    ) -> None:
        self._endpoints = endpoints
        self._policy = policy
        self._account = account
        self._on_request = on_request
        self._memories = create_state_memory(), create_counter_memory()
        self._state = StateWriter(self._memories[0])
        self._counters = map_counters(self._memories[1])
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._stopping = False
        self._link: WorkerLink | None = None
        self._keeper = self._loop.create_task(self._keep_alive())

    async def ready(self) -> None:
        """Wait until the worker serves. Raises NtpUsgError with its last words if it ends before."""
        await asyncio.wait({self._ready, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
        if self._keeper.done():
            self._keeper.result()

    def publish(self, state: ServingState) -> None:
        self._state.write(state)

    def adopt(self, policy: ServerPolicy) -> None:
        Responder(policy)  # raises its ValueError here, where it can be told, and not in the worker
        self._policy = policy
        if self._link:
            self._link.send(*build_policy(policy))

    def counters(self) -> Mapping[str, int]:
        return self._counters.as_dict()

    def clients(self) -> int:
        return self._counters.clients

    async def stop(self) -> None:
        self._stopping = True
        if self._link and not self._link.ended.done():
            self._link.close()
            await asyncio.wait({self._keeper}, timeout=STOP_SECONDS)
            self._link.kill()
        else:
            self._keeper.cancel()
        await asyncio.wait({self._keeper})
        for endpoint in self._endpoints:
            endpoint.close()
        for memory in self._memories:
            os.close(memory)

    async def _keep_alive(self) -> None:
        pause = FIRST_PAUSE
        while True:
            started = self._loop.time()
            how = await self._run_worker()
            if self._stopping:
                return
            if not self._ready.done():
                raise NtpUsgError(f"the answering worker was not ready within {START_SECONDS:.0f} s: {how}")
            if self._loop.time() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            _log.error("The answering worker has ended; another starts in %.1f s: %s", pause, how)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _run_worker(self) -> str:
        """Run one worker to its end; says how it came."""
        try:
            link = WorkerLink(self._account, self._memories, self._endpoints, self._hear)
        except OSError as error:
            return f"no process to be had: {error}"
        self._link = link
        link.send(*build_policy(self._policy))
        self._deadline = self._loop.call_later(START_SECONDS, link.kill)
        try:
            return await link.ended
        finally:
            self._deadline.cancel()

    def _hear(self, message: bytes) -> None:
        assert self._link
        try:
            self._heed(self._link, *parse_message(message))
        except WireError as error:
            _log.error("The answering worker talks nonsense and is killed: %s", error)
            self._link.kill()

    def _heed(self, link: WorkerLink, kind: Kind, body: bytes) -> None:
        match kind:
            case Kind.READY:
                _log.info("Answering in process %d", link.pid)
                self._deadline.cancel()
                if not self._ready.done():
                    self._ready.set_result(None)
            case Kind.REQUEST:
                route, packet = parse_packet(body)
                self._on_request(packet, route.packed_client, partial(self._answer, route))
            case _:
                raise WireError(f"{kind.name} is for control to say")

    def _answer(self, route: Route, packet: bytes) -> None:
        if self._link and not self._link.congested:
            self._link.send(build_packet(Kind.ANSWER, route, packet))
