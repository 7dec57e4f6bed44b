"""The control process's side of answering: keeps workers alive, feeds them, and hears what they hand up."""

import asyncio
import logging
import os
import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from ntp_usg.core.base.errors import NtpUsgError, WireError
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.server.clients import Clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.net.service import OnRequest, Route
from ntp_usg.net.workers.channel import Kind, build_packet, build_policy, parse_message, parse_packet
from ntp_usg.net.workers.link import WorkerLink
from ntp_usg.net.workers.lookout import LOOK_SECONDS, MISSED, Lookout, Watched
from ntp_usg.net.workers.shared import (
    StateWriter,
    create_client_memory,
    create_counter_memory,
    create_state_memory,
    map_clients,
    map_counters,
)

SPARES = 2
"""Workers that wait, ready to take over: a new one takes a second, and the next death may come before that."""
START_SECONDS = 10.0
"""How long a worker may take to become ready, or to adopt a policy."""
STOP_SECONDS = 1.0
"""How long it may take to end when asked to."""
FIRST_TRIES = 3
"""So many workers in a row may fail to become ready before the first one is."""
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""Seconds before the next try to start one; doubled with each that fails."""
MOST_ASIDE = 2
"""So many workers that do not respond are given time to end by themselves."""

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

    def listen_on(self, endpoints: Sequence[Sequence[socket.socket]]) -> None:
        for worker, each in zip(self._workers, endpoints, strict=True):
            worker.listen_on(each)

    def complaint(self) -> str:
        return next(filter(None, (worker.complaint() for worker in self._workers)), "")

    def counters(self) -> Mapping[str, int]:
        return sum((Counter(worker.counters.as_dict()) for worker in self._workers), Counter())

    def clients(self) -> int:
        return sum(min(worker.counters.clients, worker.places) for worker in self._workers)

    def client_tables(self) -> Sequence[Clients]:
        return [worker.clients for worker in self._workers]

    async def stop(self) -> None:
        await asyncio.gather(*(worker.stop() for worker in self._workers))
        os.close(self._memory)


class SupervisedWorker:
    """One worker, and spare ones that are ready to take over: they find sockets, counters and clients as they were."""

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
        self.places = len(self.clients.columns["hits"])
        self._loop = asyncio.get_running_loop()
        self._serves: asyncio.Future[None] = self._loop.create_future()
        self._link: WorkerLink | None = None
        self._spares: list[WorkerLink] = []
        """Those that are ready, and at most one that starts."""
        self._links: set[WorkerLink] = set()
        """All whose process has not ended."""
        self._outdated: set[WorkerLink] = set()
        """Those with sockets that are no longer ours."""
        self._aside: list[WorkerLink] = []
        """Those that did not respond and have not ended yet."""
        self._failures, self._pause = 0, 0.0
        self._stopping = False
        self._lookout = Lookout(self._watched, self._set_aside)
        self._lookout.turn_to(endpoints)
        self._loop.call_soon(self._tend)

    async def ready(self) -> None:
        """Wait until a worker serves. Raises NtpUsgError with the last words of one where none can be started."""
        await asyncio.shield(self._serves)

    def adopt(self, policy: ServerPolicy) -> None:
        """Follow this policy, which is known to be possible, as soon as the worker has read it."""
        self._policy = policy
        for link in self._links:
            link.send(*build_policy(policy))

    def listen_on(self, endpoints: Sequence[socket.socket]) -> None:
        """Have workers with these sockets take over as soon as one is ready; the others end."""
        former, self._endpoints = self._endpoints, endpoints
        self._lookout.turn_to(endpoints)
        for endpoint in former:
            if endpoint not in endpoints:
                endpoint.close()  # a worker that serves has it still
        self._outdated = set(self._links)
        for link in self._links - {self._link}:
            link.set_aside()
        self._tend()

    def complaint(self) -> str:
        """Why requests wait for an answer at this moment; empty where they do not.

        Whoever asks this also has the workers show that they live: the next answer knows.
        """
        self._lookout.ask()
        if self._link is None or not self._link.usable:
            return "no answering worker is ready"
        silent = self._link.watch.missed >= MISSED
        return f"the answering worker (process {self._link.pid}) does not respond" if silent else ""

    async def stop(self) -> None:
        self._stopping = True  # from now on nobody is started
        self._lookout.close()
        for patience, end in ((STOP_SECONDS, WorkerLink.stop), (STOP_SECONDS, WorkerLink.kill)):
            for link in self._links:
                end(link)
            if self._links:
                await asyncio.wait({link.gone for link in self._links}, timeout=patience)
                self._links = {link for link in self._links if not link.gone.done()}
        for endpoint in self._endpoints:
            endpoint.close()
        for memory in self._memories:
            os.close(memory)

    def _tend(self, *_: object) -> None:
        """Have one worker serve, and spare ones get ready; called whenever something has changed."""
        if self._stopping:
            return
        self._spares = [each for each in self._spares if not each.lost.done() and each not in self._outdated]
        if self._link in self._outdated and any(spare.usable for spare in self._spares):
            self._link.set_aside()
        if self._link is None or self._link.lost.done():
            self._link = min(
                (each for each in self._spares if each.usable), key=lambda each: each.watch.missed, default=None
            )
            if self._link:
                self._spares.remove(self._link)
                self._have_serve(self._link)
        if len(self._spares) < SPARES and all(spare.usable for spare in self._spares) and not self._pause:
            self._start()

    def _have_serve(self, link: WorkerLink) -> None:
        link.serves = True
        link.send(bytes([Kind.SERVE]))
        self._lookout.begin()
        _log.info("Answering in process %d", link.pid)
        if not self._serves.done():
            self._serves.set_result(None)

    def _start(self) -> None:
        try:
            link = WorkerLink(self._account, [self._state, *self._memories], self._endpoints, self._hear)
        except OSError as error:
            self._fail(f"no process can be started: {error}")
            return
        self._spares.append(link)
        self._links.add(link)
        link.send(*build_policy(self._policy))
        late = self._loop.call_later(START_SECONDS, link.kill, f"not ready within {START_SECONDS:.0f} s")
        for future in (link.ready, link.lost):
            future.add_done_callback(lambda _: late.cancel())
            future.add_done_callback(self._tend)
        link.gone.add_done_callback(partial(self._gone, link))

    def _gone(self, link: WorkerLink, how: "asyncio.Future[str]") -> None:
        self._links.discard(link)
        if link in self._outdated:
            self._outdated.discard(link)
        elif not self._stopping:
            if not link.ready.done():
                self._fail(how.result())
            elif link in self._aside:
                _log.info("The worker that did not respond (process %d) has ended: %s", link.pid, how.result())
            elif link.serves:
                _log.error("The answering worker has ended, and another takes over: %s", how.result())
            else:
                _log.error("A spare worker has ended, and another is started: %s", how.result())

    def _fail(self, how: str) -> None:
        """Try again later to start a worker; give up where there has not been any yet."""
        self._failures += 1
        if not self._serves.done() and self._failures >= FIRST_TRIES:
            self._stopping = True
            text = f"no answering worker could be started in {FIRST_TRIES} tries: {how}"
            self._serves.set_exception(NtpUsgError(text))
            return
        self._pause = min(FIRST_PAUSE * 2 ** min(self._failures - 1, 10), LONGEST_PAUSE)
        _log.error("A worker could not be started; next try in %.1f s: %s", self._pause, how)
        self._loop.call_later(self._pause, self._try_again)

    def _try_again(self) -> None:
        self._pause = 0.0
        self._tend()

    def _watched(self) -> Watched:
        """Whoever serves former sockets is about to be replaced anyway."""
        return None if self._link in self._outdated else self._link, self._spares

    def _set_aside(self, link: WorkerLink) -> None:
        """Replace a worker that hangs."""
        silence = link.watch.missed * LOOK_SECONDS
        if link.serves:
            _log.error(
                "The answering worker (process %d) has not responded for %.2f s, and another takes over",
                link.pid,
                silence,
            )
        else:
            _log.error("A spare worker (process %d) has not responded for %.2f s and is replaced", link.pid, silence)
        link.set_aside()
        self._aside = [each for each in self._aside if not each.gone.done()]
        for each in self._aside[:-MOST_ASIDE]:
            each.kill()
        self._aside.append(link)

    def _hear(self, link: WorkerLink, message: bytes) -> None:
        try:
            self._heed(link, *parse_message(message))
        except WireError as error:
            _log.error("The answering worker sent invalid data and is killed: %s", error)
            link.kill()

    def _heed(self, link: WorkerLink, kind: Kind, body: bytes) -> None:
        match kind:
            case Kind.READY:
                if not link.ready.done():
                    self._failures = 0
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
