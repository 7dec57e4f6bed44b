"""Requests on real loopback sockets, to servers of a few lines."""

import asyncio
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from ntp_usg.core.associations.addresses import AddressBook
from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.core.base.instants import HostNs
from ntp_usg.net import client, lookup
from ntp_usg.net.client import MAX_ANSWERS, ClientEndpoints


@dataclass
class Asker:
    """Endpoints to one server, and all that they report."""

    endpoints: ClientEndpoints = field(init=False)
    departures: list[int] = field(default_factory=list)
    answers: list[tuple[str, bytes, int]] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def departed(self, name: str, at: HostNs) -> None:
        assert name == "server"
        self.departures.append(at)

    def take(self, name: str, data: bytes, at: HostNs) -> None:
        self.answers.append((name, data, at))
        self.answered.set()

    def send(self, data: bytes = b"question") -> None:
        self.endpoints.send("server", data)

    async def ask(self, data: bytes = b"question") -> bytes:
        self.answered.clear()
        self.send(data)
        async with asyncio.timeout(5):
            await self.answered.wait()
        return self.answers[-1][1]


def asker(host: str, port: int, *, only_select: bool = False) -> Asker:
    made = Asker()
    servers = {"server": ServerAddress(host, port)}
    made.endpoints = ClientEndpoints(servers, made.departed, made.take, only_select=only_select)
    return made


@pytest.fixture
def server() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.settimeout(5)
        yield listening


@pytest.fixture
def echo(server: socket.socket) -> Callable[[], int]:
    """Start within a loop a server that answers what it is asked; gives its port."""

    def start() -> int:
        def answer() -> None:
            data, sender = server.recvfrom(2048)
            seen.append(sender[1])
            server.sendto(data.upper(), sender)

        server.setblocking(False)
        asyncio.get_running_loop().add_reader(server, answer)
        return int(server.getsockname()[1])

    seen: list[int] = []
    start.seen = seen  # type: ignore[attr-defined]
    return start


def test_a_request_goes_out_and_its_answer_comes_back_with_both_times(echo: Callable[[], int]) -> None:
    async def run() -> None:
        before = time.time_ns()
        with closing((asking := asker("127.0.0.1", echo())).endpoints):
            assert await asking.ask() == b"QUESTION"
            assert asking.endpoints.address("server") == "127.0.0.1"
            assert asking.endpoints.local_address("server") == bytes([127, 0, 0, 1])
        ((name, _, at),) = asking.answers
        assert name == "server"
        assert before <= asking.departures[0] <= asking.departures[-1] <= at <= time.time_ns()

    asyncio.run(run())


def test_each_request_has_a_port_of_its_own(echo: Callable[[], int]) -> None:
    async def run() -> None:
        with closing((asking := asker("127.0.0.1", echo())).endpoints):
            for _ in range(8):
                await asking.ask()

    asyncio.run(run())
    assert len(set(echo.seen)) > 6  # type: ignore[attr-defined] # the kernel may choose one twice


@pytest.mark.parametrize("inline", [False, True])
def test_a_name_is_looked_up_and_each_of_its_addresses_tried(echo: Callable[[], int], inline: bool) -> None:
    async def run() -> None:
        with closing((asking := asker("localhost", echo(), only_select=inline)).endpoints):
            for _ in range(3):  # ::1 comes first where there is one; nobody listens there
                asking.send()
                await asyncio.sleep(0.05)
                if asking.answers:
                    break
                asking.endpoints.leave("server", "It does not answer.")
            assert asking.endpoints.address("server") == "127.0.0.1"
            assert asking.endpoints.trouble("server") is None

    asyncio.run(run())


def test_a_loop_with_select_alone_and_no_threads_is_enough(echo: Callable[[], int]) -> None:
    async def run() -> None:
        with closing((asking := asker("localhost", echo(), only_select=True)).endpoints):
            while not asking.answers:
                asking.send()
                await asyncio.sleep(0.01)
                if not asking.answers:
                    asking.endpoints.leave("server", "It does not answer.")

    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())

    def refuse(*args: object) -> None:
        raise AssertionError("a thread")

    loop.run_in_executor = refuse  # type: ignore[method-assign,assignment]
    with closing(loop):
        loop.run_until_complete(asyncio.wait_for(run(), 5))


@dataclass
class Names:
    """What a name server says: addresses of 127/8 by their last octet; and how often it was asked."""

    octets: tuple[int, ...]
    lookups: int = 0

    def resolve(self, where: ServerAddress) -> list[tuple[str, int]]:
        self.lookups += 1
        return [(f"127.0.0.{octet}", where.port) for octet in self.octets]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    made = Names((1, 2))
    monkeypatch.setattr(lookup, "resolve", made.resolve)
    return made


async def asked_address(asking: Asker) -> str | None:
    """Send a request; the address that it went to, once the name was looked up."""
    before = len(asking.departures)
    asking.send()
    async with asyncio.timeout(5):
        while len(asking.departures) == before:  # noqa: ASYNC110 - a look-up has no event of its own
            await asyncio.sleep(0.001)
    return asking.endpoints.address("server")


def test_the_next_address_is_asked_when_one_is_left_and_the_name_is_looked_up_when_all_were(
    server: socket.socket, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        with closing((asking := asker("name", server.getsockname()[1])).endpoints):
            asked = []
            for _ in range(3):
                asked.append(await asked_address(asking))
                asking.endpoints.leave("server", "It does not answer.")
            assert asked == ["127.0.0.1", "127.0.0.2", "127.0.0.1"]
            names.octets = (1, 2, 3)
            asking.endpoints.network_returned()
            for _ in range(2):
                await asked_address(asking)
                asking.endpoints.leave("server", "It does not answer.")
            assert await asked_address(asking) == "127.0.0.3"

    asyncio.run(run())
    assert names.lookups == 2
    assert "leaves its address 127.0.0.1: It does not answer." in caplog.text


def test_an_address_that_refused_us_is_never_asked_again(server: socket.socket, names: Names) -> None:
    async def run() -> None:
        with closing((asking := asker("name", server.getsockname()[1])).endpoints):
            for expected in ("127.0.0.1", "127.0.0.2"):
                assert await asked_address(asking) == expected
                asking.endpoints.leave("server", "The server refused us for good.", for_ever=True)
            departures = len(asking.departures)
            for _ in range(3):
                asking.send()
                await asyncio.sleep(0.01)
            assert len(asking.departures) == departures
            assert "refused us" in (asking.endpoints.trouble("server") or "")

    asyncio.run(run())


def test_a_look_up_that_nobody_answers_holds_up_neither_the_loop_nor_its_end(
    server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = threading.Event()
    monkeypatch.setattr(lookup, "resolve", lambda _where: dead.wait(30) and "unknown host: nobody knows")

    async def run() -> None:
        with closing((asking := asker("name", server.getsockname()[1])).endpoints):
            for _ in range(3):
                asking.send()
                await asyncio.sleep(0.001)
            assert asking.departures == []

    begun = time.monotonic()
    asyncio.run(run())
    assert time.monotonic() - begun < 10
    dead.set()


def test_when_the_network_returns_a_look_up_that_waits_for_nobody_is_begun_again(
    server: socket.socket, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = threading.Event()
    monkeypatch.setattr(lookup, "resolve", lambda _where: dead.wait(30) and "unknown host: nobody knows")

    async def run() -> None:
        with closing((asking := asker("name", server.getsockname()[1])).endpoints):
            asking.send()
            await asyncio.sleep(0.001)
            monkeypatch.setattr(lookup, "resolve", names.resolve)
            asking.endpoints.network_returned()
            assert await asked_address(asking) == "127.0.0.1"
            dead.set()

    asyncio.run(run())


def test_a_look_up_for_which_there_is_no_thread_is_not_the_last_one(
    server: socket.socket, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the limit of tasks (TasksMax=, ulimit -u) no thread can be started."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def run() -> None:
        asking = asker("a.name", server.getsockname()[1])
        monkeypatch.setattr(AddressBook, "wants_lookup", lambda book, _now: book.current is None)
        with closing(asking.endpoints):
            with monkeypatch.context() as limit:
                limit.setattr(threading.Thread, "start", refuse)
                asking.send()
                await asyncio.sleep(0)
                await asyncio.sleep(0)
                assert asking.endpoints.trouble("server") == "its name cannot be looked up: can't start new thread"
            assert await asked_address(asking) == "127.0.0.1"

    asyncio.run(run())


def test_a_refusal_is_reported_and_survived(server: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        port = server.getsockname()[1]
        server.close()
        with closing((asking := asker("127.0.0.1", port)).endpoints):
            for _ in range(3):
                asking.send()
                await asyncio.sleep(0.01)
            assert asking.endpoints.trouble("server") == "cannot be reached: Connection refused"

    asyncio.run(run())
    assert len(caplog.records) == 1, "only changes are logged"


@pytest.mark.parametrize("host", ["a" * 64 + ".invalid", "..", "fe80::1%nosuchif"])  # none of these leaves the machine
def test_a_name_that_does_not_exist_is_reported(host: str) -> None:
    async def run() -> None:
        with closing((asking := asker(host, 123)).endpoints):
            asking.send()
            for _ in range(100):
                if asking.endpoints.trouble("server"):
                    break
                await asyncio.sleep(0.01)
            assert (asking.endpoints.trouble("server") or "").startswith("unknown host: ")
            assert asking.endpoints.address("server") is None
        assert asking.departures == []

    asyncio.run(run())


def test_an_address_that_cannot_be_sent_to_is_survived() -> None:
    async def run() -> None:
        with closing((asking := asker("255.255.255.255", 123)).endpoints):  # broadcast is not allowed
            asking.send()
            assert (asking.endpoints.trouble("server") or "").startswith("cannot be reached: ")
        assert asking.departures == []

    asyncio.run(run())


@pytest.mark.fault(
    group="Attacks",
    kind="Strangers send packets to the port from which we ask a server.",
    noticed="The kernel drops them: the socket is connected to the server that was asked.",
    served="Time as before: they do not use up the window for the server's answer.",
)
def test_strangers_are_not_heard_and_do_not_use_up_the_window_of_the_server(server: socket.socket) -> None:
    async def run() -> None:
        with (
            closing((asking := asker("127.0.0.1", server.getsockname()[1])).endpoints),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger,
        ):
            asking.send()
            _, back = server.recvfrom(64)
            for _ in range(2 * MAX_ANSWERS):
                stranger.sendto(b"forged", back)
                await asyncio.sleep(0)
            server.sendto(b"answer", back)
            await asyncio.sleep(0.1)
        assert [data for _, data, _ in asking.answers] == [b"answer"]

    asyncio.run(run())


def test_an_address_is_not_heard_without_end(server: socket.socket) -> None:
    async def run() -> None:
        with closing((asking := asker("127.0.0.1", server.getsockname()[1])).endpoints):
            asking.send()
            _, back = server.recvfrom(64)
            for _ in range(MAX_ANSWERS + 5):
                server.sendto(b"answer", back)
                await asyncio.sleep(0)
            await asyncio.sleep(0.1)
        assert [data for _, data, _ in asking.answers] == [b"answer"] * MAX_ANSWERS

    asyncio.run(run())


def test_a_new_request_ends_the_wait_for_the_one_before(server: socket.socket) -> None:
    async def run() -> None:
        with closing((asking := asker("127.0.0.1", server.getsockname()[1])).endpoints):
            asking.send(b"first")
            _, late = server.recvfrom(64)
            asking.send(b"second")
            _, back = server.recvfrom(64)
            server.sendto(b"late", late)
            server.sendto(b"answer", back)
            await asyncio.sleep(0.05)
        assert [data for _, data, _ in asking.answers] == [b"answer"]

    asyncio.run(run())


def test_the_socket_closes_when_no_answer_comes(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_WINDOW", 0.02)

    async def run() -> None:
        with closing((asking := asker("127.0.0.1", server.getsockname()[1])).endpoints):
            asking.send()
            _, back = server.recvfrom(64)
            await asyncio.sleep(0.1)
            server.sendto(b"late", back)
            await asyncio.sleep(0.02)
        assert asking.answers == []

    asyncio.run(run())


def test_an_answer_handler_may_send_the_next_request_at_once(echo: Callable[[], int]) -> None:
    async def run() -> None:
        asking = asker("127.0.0.1", echo())
        take = asking.take

        def take_and_ask(name: str, data: bytes, at: HostNs) -> None:
            take(name, data, at)
            if len(asking.answers) < 5:
                asking.send()

        asking.endpoints = ClientEndpoints(
            {"server": ServerAddress("127.0.0.1", echo())}, asking.departed, take_and_ask
        )
        with closing(asking.endpoints):
            asking.send()
            while len(asking.answers) < 5:
                asking.answered.clear()
                await asking.answered.wait()

    asyncio.run(asyncio.wait_for(run(), 5))
