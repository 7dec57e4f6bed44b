"""Answering as the daemon sees it: the same whether a worker does it or this process itself."""

import asyncio
import os
import pwd
import secrets
import socket
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Protocol

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.snapshots import ServingState
from ntp_usg.core.server.clients import Clients, ClientTable
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.server.responder import Responder
from ntp_usg.net.counters import VerdictCounters
from ntp_usg.net.service import OnRequest, Route, Service
from ntp_usg.net.workers.supervisor import Workers


class AnsweringService(Protocol):
    """Serves until it is stopped; unsynchronised until a state is published, and again when that expires."""

    def publish(self, state: ServingState) -> None:
        """Serve this state from now on."""

    def adopt(self, policy: ServerPolicy) -> None:
        """Follow this policy, as soon as a worker has read it.

        Raises ValueError at an impossible one, which changes nothing.
        """

    def listen_on(self, endpoints: Sequence[Sequence[socket.socket]]) -> None:
        """Serve on these sockets, of the same number and order; those that are no longer among them are closed."""

    def complaint(self) -> str:
        """Why requests wait for an answer at this moment; empty where they do not."""

    def counters(self) -> Mapping[str, int]:
        """Packets by `outcome/reason` since the start, across replaced workers; the sum is all that came in."""

    def clients(self) -> int:
        """How many clients are remembered."""

    def client_tables(self) -> Sequence[Clients]:
        """Who they are, nobody in two tables, for `list_clients`; may be called, and read, in a thread."""

    async def stop(self) -> None:
        """End, and close the sockets."""


async def start_service(
    endpoints: Sequence[Sequence[socket.socket]],
    policy: ServerPolicy,
    *,
    in_process: bool,
    user: str,
    on_request: OnRequest,
) -> AnsweringService:
    """Serve on sockets from `open_sockets`, which are the service's from now on: a worker for each set of them.

    With `in_process` this process itself answers; a worker of root's runs as `user`. Packets that only the control
    process can answer go to `on_request`. Raises NtpUsgError where no worker can be had, ValueError at a bad policy.
    """
    if in_process:
        return LocalService([endpoint for each in endpoints for endpoint in each], policy, on_request)
    Responder(policy)  # raises its ValueError here, and not in a worker
    service = Workers(endpoints, policy, _account(user), on_request)
    try:
        await service.ready()
    except BaseException:
        await service.stop()
        raise
    return service


class LocalService:
    """Answers within the control process's own loop: for tests, debugging and the smallest machines."""

    def __init__(self, endpoints: Sequence[socket.socket], policy: ServerPolicy, on_request: OnRequest) -> None:
        self._loop = asyncio.get_running_loop()
        self._state = ServingState()
        self._counters = VerdictCounters()
        self._on_request = on_request
        self._responder = Responder(policy, ClientTable(policy.max_clients, seed=secrets.randbits(128)))
        self._serve_on(endpoints)

    def _serve_on(self, endpoints: Sequence[socket.socket]) -> None:
        self._service = Service(endpoints, self._responder, lambda: self._state, self._counters, self._hand_up)
        for index, endpoint in enumerate(endpoints):
            self._loop.add_reader(endpoint, self._service.drain, index)

    def publish(self, state: ServingState) -> None:
        self._state = state

    def adopt(self, policy: ServerPolicy) -> None:
        self._responder.adopt(policy)

    def listen_on(self, endpoints: Sequence[Sequence[socket.socket]]) -> None:
        former, wanted = self._service.endpoints, [endpoint for each in endpoints for endpoint in each]
        for endpoint in former:
            self._loop.remove_reader(endpoint)
            if endpoint not in wanted:
                endpoint.close()
        self._serve_on(wanted)

    def complaint(self) -> str:
        return ""

    def counters(self) -> Mapping[str, int]:
        return self._counters.as_dict()

    def clients(self) -> int:
        return self._counters.clients

    def client_tables(self) -> Sequence[Clients]:
        return [self._responder.clients]

    async def stop(self) -> None:
        for endpoint in self._service.endpoints:
            self._loop.remove_reader(endpoint)
            endpoint.close()

    def _hand_up(self, route: Route, packet: bytes) -> bool:
        # Later, so that whatever goes wrong there cannot disturb the answering of others.
        self._loop.call_soon(self._on_request, packet, route.packed_client, partial(self._service.send, route))
        return True


def _account(user: str) -> tuple[int, int]:
    if os.geteuid() != 0:
        return os.getuid(), os.getgid()
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        raise NtpUsgError(f"the worker cannot run as `{user}`: this machine has no such user") from None
    return entry.pw_uid, entry.pw_gid
