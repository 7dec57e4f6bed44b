"""When workers are looked at: while a beat is due, and never at rest."""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from ntp_usg.net.workers import lookout
from ntp_usg.net.workers.link import Watch, WorkerLink
from ntp_usg.net.workers.lookout import Lookout
from ntp_usg.net.workers.shared import Heartbeat, create_heartbeat_memory


class Link(WorkerLink):
    """A worker that is no process: it beats when it is asked to, unless it hangs."""

    def __init__(self) -> None:
        memory = create_heartbeat_memory()
        self.heart = Heartbeat(memory)
        os.close(memory)
        self.watch, self.asked, self.hangs, self.questions = Watch(self.heart), False, False, 0
        loop = asyncio.get_running_loop()
        self.ready, self.lost = loop.create_future(), loop.create_future()
        self.ready.set_result(None)

    def send(self, *_: bytes) -> None:
        self.questions += 1
        if not self.hangs:
            self.heart.beat()


class Place:
    """A worker, a spare one, and their socket."""

    def __init__(self, endpoint: socket.socket) -> None:
        self.serving, self.spare, self.hung = Link(), Link(), list[WorkerLink]()
        self.endpoint = endpoint
        self.looks = 0
        self.lookout = Lookout(self._watched, self.hung.append)
        self.lookout.turn_to([endpoint])

    def _watched(self) -> lookout.Watched:
        self.looks += 1
        return self.serving, [self.spare]

    async def looked(self) -> int:
        """How often it was looked while ten looks could have been taken."""
        self.looks = 0
        await asyncio.sleep(10 * lookout.LOOK_SECONDS)
        return self.looks

    def request(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"request", self.endpoint.getsockname())


@pytest.fixture
def at_a_place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Runs a test's coroutine at a place, where looks follow each other quickly."""
    monkeypatch.setattr(lookout, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(lookout, "_punctual", lambda _: True)  # this machine may be busy
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))

        def run(test: Any) -> None:
            async def main() -> None:
                place = Place(endpoint)
                await place.looked()
                await test(place)
                place.lookout.close()

            asyncio.run(main())

        yield run


def test_while_nothing_is_due_nobody_looks(at_a_place: Any) -> None:
    async def test(place: Place) -> None:
        assert await place.looked() == 0
        assert place.serving.questions == 0

    at_a_place(test)


def test_a_worker_that_leaves_a_request_waiting_is_found(at_a_place: Any) -> None:
    async def test(place: Place) -> None:
        place.serving.hangs = True
        place.request()
        await place.looked()
        assert set(place.hung) == {place.serving}
        assert place.spare.questions == 1, "whether it could take over"

    at_a_place(test)


def test_after_a_request_that_was_served_all_rest_again(at_a_place: Any) -> None:
    async def test(place: Place) -> None:
        place.request()
        await asyncio.sleep(0)
        place.endpoint.recv(100)
        place.serving.heart.beat()
        assert await place.looked() <= 3
        assert await place.looked() == 0
        assert place.hung == []

    at_a_place(test)


def test_a_busy_worker_is_looked_at_all_the_time(at_a_place: Any) -> None:
    async def test(place: Place) -> None:
        place.request()
        for _ in range(10):
            await asyncio.sleep(0.005)
            place.serving.heart.beat()
        place.looks = 0
        for _ in range(20):
            await asyncio.sleep(0.005)
            place.serving.heart.beat()
        assert place.looks >= 2

    at_a_place(test)


def test_whoever_asks_how_they_are_has_all_show_that_they_live(at_a_place: Any) -> None:
    async def test(place: Place) -> None:
        place.lookout.ask()
        assert await place.looked() <= 2
        assert (place.serving.questions, place.spare.questions, place.hung) == (1, 1, [])

    at_a_place(test)


def test_a_spare_that_hangs_is_found_later_and_is_not_asked_again_and_again(
    at_a_place: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookout, "MISSED_ALONE", 5)

    async def test(place: Place) -> None:
        place.spare.hangs = True
        for _ in range(10):
            place.lookout.ask()
            await asyncio.sleep(0.01)
        assert place.spare.questions == 1
        assert set(place.hung) == {place.spare}

    at_a_place(test)
