"""Answering with a fast path in front: it takes the plain requests, and the service behind it all others."""

import asyncio
import logging
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.snapshots import STAMPED_BY_CARD, FastPathSnapshot, ServingState
from ntp_usg.core.base.verdicts import Outcome
from ntp_usg.core.server.clients import Clients
from ntp_usg.core.server.listing import merge_clients
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.answering import AnsweringService
from ntp_usg.net.xdp.attachment import Mode, attach, mode_of, open_fast_path, use_card
from ntp_usg.net.xdp.card_clock import CardClock
from ntp_usg.net.xdp.endpoints import Listener, build_endpoints, never_sources
from ntp_usg.net.xdp.fast_path import FastPath, tai_minus_host_ns
from ntp_usg.sysapi.interfaces import read_interfaces

RENEW_INTERVAL = 1.0
"""Seconds; the program stops answering when it has heard nothing for four."""
LOOK_INTERVAL = 5.0
"""How often it is looked which interfaces and addresses there are."""
MERGE_INTERVAL = 5.0
"""How old a list of clients may be: it takes a while to make where there are many."""

_log = logging.getLogger(__name__)


async def start_xdp(
    service: AnsweringService,
    policy: ServerPolicy,
    names: Sequence[str],
    mode: Mode,
    *,
    listening: Sequence[Listener],
    dscp: int = 0,
    stamping: Sequence[str] = (),
) -> tuple[AnsweringService, Callable[[], FastPathSnapshot]]:
    """Put a fast path on some interfaces in front of a service that serves the same sockets; the second tells of it.

    `stamping` are those of the interfaces whose cards shall stamp what they receive, where they can.

    Where it cannot be had, `auto` mode says so in the log and goes on without; any other mode was asked for in so many
    words, and raises NtpUsgError, the service being stopped then.
    """
    try:
        card = _index(names[0]) if mode == "offload" else 0
        path = open_fast_path(policy, traffic_class=dscp << 2, card=card, leak_key=secrets.randbits(64))
        helped = XdpService(service, path, names, mode, listening, stamping=stamping)
    except NtpUsgError as error:
        if mode != "auto":
            await service.stop()
            raise
        _log.error("%s: every request goes through the network stack", error)
        refused = FastPathSnapshot(dict.fromkeys(names, str(error)), answered=0)
        return service, lambda: refused
    return helped, helped.fast_path


class XdpService:
    """An AnsweringService around another; it owns both that and the fast path."""

    def __init__(
        self,
        behind: AnsweringService,
        path: FastPath,
        names: Sequence[str],
        mode: Mode,
        listening: Sequence[Listener],
        *,
        stamping: Sequence[str] = (),
    ) -> None:
        """Raises NtpUsgError where an interface cannot be used and the mode is not `auto`; all is as before then."""
        self._behind = behind
        self._path = path
        self._mode = mode
        self._listening = listening
        self._state = ServingState()
        self._clients = 0
        self._merged: tuple[float, Clients] | None = None
        self._interfaces = dict.fromkeys(names, "")
        self._stamping = stamping
        self._cards: dict[str, CardClock] = {}
        try:
            self._look(strict=mode != "auto")
        except BaseException:
            self._leave()
            path.close()
            raise
        self._keeper = asyncio.get_running_loop().create_task(self._keep())

    def publish(self, state: ServingState) -> None:
        self._state = state
        self._behind.publish(state)
        self._path.publish(state)

    def adopt(self, policy: ServerPolicy) -> None:
        self._behind.adopt(policy)
        try:
            self._path.adopt(policy)
        except OSError as error:
            # Lists that are no longer in force must not be followed: better slow than wrong.
            _log.error("XDP cannot load the new access rules and is switched off: %s", error)
            self._leave()
            self._interfaces = dict.fromkeys(self._interfaces, "the new access rules could not be loaded")
            self._keeper.cancel()

    def complaint(self) -> str:
        return self._behind.complaint()

    def listen_on(self, endpoints: Sequence[Sequence[socket.socket]]) -> None:
        self._behind.listen_on(endpoints)

    def counters(self) -> Mapping[str, int]:
        here = {f"{each.outcome}/{each.reason}": number for each, number in self._path.counters().items()}
        return Counter(self._behind.counters()) + Counter(here)

    def clients(self) -> int:
        return self._behind.clients() + self._clients

    def client_tables(self) -> Sequence[Clients]:
        if not self._merged or time.monotonic() - self._merged[0] > MERGE_INTERVAL:
            tables = [*self._behind.client_tables(), self._path.client_table()]
            self._merged = time.monotonic(), merge_clients(tables)
        return [self._merged[1]]

    def fast_path(self) -> FastPathSnapshot:
        """What of all that is the fast path's."""
        counts = self._path.counters().items()
        answered = sum(number for verdict, number in counts if verdict.outcome is Outcome.ANSWERED)
        return FastPathSnapshot(dict(self._interfaces), answered, self._path.stamped())

    async def stop(self) -> None:
        self._keeper.cancel()
        await asyncio.wait({self._keeper})
        self._leave()
        self._path.close()
        await self._behind.stop()

    async def _keep(self) -> None:
        """Tell the program the time again, which it counts on by itself for a few seconds only, and look around."""
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(RENEW_INTERVAL)
            self._path.publish(self._state)
            self._read_cards()
            if time.monotonic() - looked_at >= LOOK_INTERVAL:
                looked_at = time.monotonic()
                try:
                    self._look()
                    self._clients = await asyncio.to_thread(len, self._path.rules.clients)
                except OSError as error:  # netlink out of buffers, a policy adopted meanwhile: the next time
                    _log.debug("XDP: the interfaces could not be checked: %s", error)

    def _look(self, *, strict: bool = False) -> None:
        """See which interfaces and addresses there are now, and be where we should be; what changes is logged.

        With `strict` raises NtpUsgError instead.
        """
        interfaces = read_interfaces()
        indexes = {each.name: each.index for each in interfaces.values()}
        for name, said in self._interfaces.items():
            try:
                self._be_on(name, indexes.get(name))
                says = STAMPED_BY_CARD if name in self._cards else str(mode_of(self._path, name))
            except NtpUsgError as error:
                if strict:
                    raise
                says = str(error)
            if says != said:
                level = logging.INFO if name in self._path.links else logging.ERROR
                _log.log(level, "XDP on %s: %s", name, says)
                self._interfaces[name] = says
        self._path.answer_at(build_endpoints(interfaces, list(self._interfaces), self._listening))
        self._path.refuse_sources(never_sources(interfaces.values()))

    def _be_on(self, name: str, index: int | None) -> None:
        link = self._path.links.get(name)
        if link and link.interface == index:
            return
        self._leave(name)
        if index is None:
            raise NtpUsgError(f"no interface {name} here")
        attach(self._path, name, index, self._mode)
        if name in self._stamping:
            try:
                self._cards[name] = use_card(self._path, name)
            except NtpUsgError as error:
                _log.warning("%s: receive stamps are the program's own: %s", name, error)

    def _leave(self, *names: str) -> None:
        """Take the program off some interfaces, or off all."""
        for name in names or self._interfaces:
            self._path.detach(name)
            if card := self._cards.pop(name, None):
                card.close()

    def _read_cards(self) -> None:
        """Tell the program again what the cards' stamps mean."""
        for name, card in list(self._cards.items()):
            try:
                line, link = card.compare(tai_minus_host_ns()), self._path.links.get(name)
                if line and link:
                    self._path.card_is(link.interface, line)
            except (NtpUsgError, OSError) as error:
                self._cards.pop(name).close()
                _log.warning("%s: receive stamps are the program's own from now on: %s", name, error)


def _index(name: str) -> int:
    return next((each.index for each in read_interfaces().values() if each.name == name), 0)
