"""Mode 6 never holds up the control process, and is counted as it ended."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from ntp_usg.core.base.errors import BusyError
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import SystemSnapshot
from ntp_usg.core.base.verdicts import Verdict
from ntp_usg.core.server.mru import Occupancy
from ntp_usg.core.wire.control import ControlMessage, Opcode, build_control, parse_control
from ntp_usg.daemon.monitoring import MOST_OF_A_CLIENT, Monitoring

ASKER = bytes([127, 0, 0, 1])
READ = build_control(ControlMessage(Opcode.READ_VARIABLES, sequence=1))


class State:
    """What of the daemon's state the monitoring uses."""

    def __init__(self, snapshot: SystemSnapshot) -> None:
        self.snapshot = lambda: snapshot
        self.counts: Counter[str] = Counter()

    def now(self) -> MonoNs:
        return self.snapshot().serving.as_of

    def judge(self, verdict: Verdict) -> None:
        self.counts[f"{verdict.outcome}/{verdict.reason}"] += 1

    def list_clients(self, *_: object) -> list[object]:
        return []

    def occupancy(self, _: MonoNs) -> Occupancy:
        return Occupancy(0, 0, 64, None)


class Later:
    """A background that does its work when told to."""

    def __init__(self):
        self.waiting: list[tuple[Callable[[], Any], asyncio.Future[Any]]] = []

    async def do(self, work: Callable[[], Any]) -> Any:
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append((work, done))
        return await done

    async def work(self) -> None:
        waiting, self.waiting = self.waiting, []
        for work, done in waiting:
            try:
                done.set_result(work())
            except ZeroDivisionError as error:
                done.set_exception(error)
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
def state(locked_snapshot):
    return State(locked_snapshot)


def talking(state: State, talk: Callable[[Monitoring, Later], Awaitable[None]]) -> Counter[str]:
    async def main() -> None:
        background = Later()
        await talk(Monitoring(cast("Any", state), cast("Any", background)), background)

    asyncio.run(main())
    return state.counts


def test_an_answer_comes_from_the_background_and_counts_when_it_is_sent(state: State):
    async def talk(monitoring: Monitoring, background: Later) -> None:
        sent: list[bytes] = []

        def send(packet: bytes) -> bool:
            sent.append(packet)
            return True

        monitoring.take(READ, ASKER, send)
        await asyncio.sleep(0)
        assert (sent, state.counts) == ([], {})
        await background.work()
        assert b"stratum=1" in b"".join(parse_control(packet).data for packet in sent)

    assert talking(state, talk) == {"answered/monitor": 1}


def test_an_answer_that_could_not_be_sent_is_not_counted_as_one(state: State):
    async def talk(monitoring: Monitoring, background: Later) -> None:
        monitoring.take(READ, ASKER, lambda _: False)
        await asyncio.sleep(0)
        await background.work()

    assert talking(state, talk) == {"dropped/send_failed": 1}


@pytest.mark.fault(
    group="Attacks",
    kind="Somebody who may monitor the server sends mode 6 requests without end.",
    noticed="ntp_usg_queries_total counts them as dropped/queue_full.",
    served="Time as before; others who monitor get their answers.",
)
def test_of_one_client_only_a_few_requests_wait(state: State):
    async def talk(monitoring: Monitoring, background: Later) -> None:
        for _ in range(100):
            monitoring.take(READ, ASKER, lambda _: True)
        monitoring.take(READ, bytes(4), lambda _: True)
        await asyncio.sleep(0)
        await background.work()
        monitoring.take(READ, ASKER, lambda _: True)
        await asyncio.sleep(0)
        await background.work()

    assert talking(state, talk) == {
        "answered/monitor": MOST_OF_A_CLIENT + 2,
        "dropped/queue_full": 100 - MOST_OF_A_CLIENT,
    }


def test_what_the_background_refuses_is_counted(state: State):
    async def talk(monitoring: Monitoring, background: Later) -> None:
        async def refuse(_: Callable[[], Any]) -> Any:
            raise BusyError

        background.do = refuse  # type: ignore[method-assign,assignment]
        monitoring.take(READ, ASKER, lambda _: True)
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    assert talking(state, talk) == {"dropped/queue_full": 1}


def test_nonsense_is_counted_and_gets_no_answer(state: State):
    async def talk(monitoring: Monitoring, background: Later) -> None:
        monitoring.take(b"\x16", ASKER, lambda _: pytest.fail("an answer to nonsense"))
        await asyncio.sleep(0)
        await background.work()

    assert talking(state, talk) == {"dropped/bad_format": 1}


def test_an_error_of_ours_is_logged_and_ends_nothing(state: State, caplog: pytest.LogCaptureFixture):
    state.occupancy = lambda _: 1 // 0  # type: ignore[method-assign,assignment,return-value]
    question = build_control(ControlMessage(Opcode.READ_VARIABLES, sequence=1, data=b"mru_depth"))

    async def talk(monitoring: Monitoring, background: Later) -> None:
        for packet in (question, READ):
            monitoring.take(packet, ASKER, lambda _: True)
        await asyncio.sleep(0)
        await background.work()

    assert talking(state, talk) == {"dropped/send_failed": 1, "answered/monitor": 1}
    assert "please report" in caplog.text
