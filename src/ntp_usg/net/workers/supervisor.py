"""The control process's side of answering: keeps workers alive, feeds them, and hears what they hand up."""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from ntp_usg.core.base.errors import NtpUsgError, WireError
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.server.clients import Clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.net.service import OnRequest, Route
from ntp_usg.net.workers.channel import Kind, build_packet, build_policy, parse_message, parse_packet
from ntp_usg.net.workers.link import WorkerLink
from ntp_usg.net.workers.shared import (
    StateWriter,
    create_client_memory,
    create_counter_memory,
    create_state_memory,
    map_clients,
    map_counters,
)

START_SECONDS = 10.0
"""How long a worker may take to become ready."""
STOP_SECONDS = 1.0
"""How long it may take to end when asked to."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before the next spare is started: doubled with each death, until one has lived longer than the longest."""

_log = logging.getLogger(__name__)


class Workers:
    """Answers from processes of their own, each with its set of sockets; an AnsweringService."""

    def __init__(
        self,
        endpoints: Sequence[Sequence[socket.socket]],
        policy: ServerPolicy,
        account: tuple[int, int],
        on_request: OnRequest,
    ) -> None:
        self._memory = create_state_memory()
        self._state = StateWriter(self._memory)
        self._workers = [SupervisedWorker(each, self._memory, policy, account, on_request) for each in endpoints]

    async def ready(self) -> None:
        """Wait until all serve. Raises NtpUsgError with the last words of one that ends before."""
        await asyncio.gather(*(worker.ready() for worker in self._workers))

    def publish(self, state: ServingState) -> None:
        self._state.write(state)

    def adopt(self, policy: ServerPolicy) -> None:
        Responder(replace(policy, max_clients=1))  # raises its ValueError here, where it can be told
        for worker in self._workers:
            worker.adopt(policy)

    def counters(self) -> Mapping[str, int]:
        return sum((Counter(worker.counters.as_dict()) for worker in self._workers), Counter())

    def clients(self) -> int:
        return sum(worker.counters.clients for worker in self._workers)

    def client_tables(self) -> Sequence[Clients]:
        return [worker.clients for worker in self._workers]

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        os.close(self._memory)


async def _either(*futures: asyncio.Future[Any]) -> None:
    """Wait for one of them; unlike `await`, leaves them alone when we are cancelled."""
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


class SupervisedWorker:
    """One worker, and a second one that is ready to take over: it finds sockets, counters and clients as they were."""

    def __init__(
        self,
        endpoints: Sequence[socket.socket],
        state: int,
        policy: ServerPolicy,
        account: tuple[int, int],
        on_request: OnRequest,
    ) -> None:
        self._endpoints = endpoints
        self._policy = policy
        self._account = account
        self._on_request = on_request
        self._memories = create_counter_memory(), create_client_memory(policy.max_clients)
        self._state = state
        self.counters, self.clients = map_counters(self._memories[0]), map_clients(self._memories[1])
        self._loop = asyncio.get_running_loop()
        self._serves: asyncio.Future[None] = self._loop.create_future()
        self._link: WorkerLink | None = None
        self._spare: WorkerLink | None = None
        self._keeper = self._loop.create_task(self._keep_alive())

    async def ready(self) -> None:
        """Wait until the worker serves. Raises NtpUsgError with its last words if it ends before."""
        await asyncio.wait({self._serves, self._keeper}, return_when=asyncio.FIRST_COMPLETED)
        if self._keeper.done():
            self._keeper.result()

    def adopt(self, policy: ServerPolicy) -> None:
        """Follow this policy, which is known to be possible, as soon as the worker has read it."""
        self._policy = policy
        for link in (self._link, self._spare):
            if link:
                link.send(*build_policy(policy))

    async def stop(self) -> None:
        self._keeper.cancel()  # from now on nobody is started
        await asyncio.wait({self._keeper})
        links = [link for link in (self._link, self._spare) if link and not link.ended.done()]
        for link in links:
            link.close()
        if links:
            await asyncio.wait({link.ended for link in links}, timeout=STOP_SECONDS)
            for link in links:
                link.kill()
            await asyncio.wait({link.ended for link in links})
        for endpoint in self._endpoints:
            endpoint.close()
        for memory in self._memories:
            os.close(memory)

    async def _keep_alive(self) -> None:
        pause, spare = FIRST_PAUSE, await self._prepare(0.0)
        while True:
            self._link, self._spare, started = spare, None, self._loop.time()
            spare.send(bytes([Kind.SERVE]))
            _log.info("Answering in process %d", spare.pid)
            if not self._serves.done():
                self._serves.set_result(None)
            async with asyncio.TaskGroup() as tasks:
                preparing = tasks.create_task(self._prepare(pause))
                await _either(spare.ended)
                _log.error("The answering worker has ended, and another takes over: %s", spare.ended.result())
            pause = FIRST_PAUSE if self._loop.time() - started > LONGEST_PAUSE else min(2 * pause, LONGEST_PAUSE)
            spare = preparing.result()

    async def _prepare(self, pause: float) -> WorkerLink:
        """A worker that waits for the word to serve. Raises NtpUsgError where not even a first one can be had."""
        while True:
            await asyncio.sleep(pause)
            try:
                link = WorkerLink(self._account, [self._state, *self._memories], self._endpoints, self._hear)
            except OSError as error:
                how = f"no process to be had: {error}"
            else:
                self._spare = link
                link.send(*build_policy(self._policy))
                deadline = self._loop.call_later(START_SECONDS, link.kill)
                await _either(link.ready, link.ended)
                deadline.cancel()
                if not link.ended.done():
                    return link
                how = link.ended.result()
            if not self._serves.done():
                raise NtpUsgError(f"the answering worker was not ready within {START_SECONDS:.0f} s: {how}")
            pause = min(max(2 * pause, FIRST_PAUSE), LONGEST_PAUSE)
            _log.error("No worker could be made ready; another try in %.1f s: %s", pause, how)

    def _hear(self, link: WorkerLink, message: bytes) -> None:
        try:
            self._heed(link, *parse_message(message))
        except WireError as error:
            _log.error("The answering worker talks nonsense and is killed: %s", error)
            link.kill()

    def _heed(self, link: WorkerLink, kind: Kind, body: bytes) -> None:
        match kind:
            case Kind.READY:
                if not link.ready.done():
                    link.ready.set_result(None)
            case Kind.REQUEST:
                route, packet = parse_packet(body)
                self._on_request(packet, route.packed_client, partial(self._answer, route))
            case _:
                raise WireError(f"{kind.name} is for control to say")

    def _answer(self, route: Route, packet: bytes) -> bool:
        if not self._link or self._link.congested:
            return False
        self._link.send(build_packet(Kind.ANSWER, route, packet))
        return True
