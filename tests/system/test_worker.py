"""The answering worker as a process: what it may do, what it survives, and that it stays honest on its own."""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.wire.header import Header, parse_header
from ntp_usg.net.answering import AnsweringService, LocalService, start_service
from ntp_usg.net.answering import _account as account_of
from ntp_usg.net.service import OnRequest
from ntp_usg.net.udp import open_socket_sets
from ntp_usg.net.workers.orphans import end_orphans
from ntp_usg.net.workers.shared import create_state_memory
from ntp_usg.net.workers.supervisor import SPARES, SupervisedWorker, Workers
from ntp_usg.sysapi.timex import read_clocks

QUESTION = b"\x16\x02" + bytes(10)  # mode 6, READVAR


def good_state() -> ServingState:
    host, now = read_clocks()
    return ServingState(
        leap=Leap.NONE,
        stratum=1,
        reference_id=b"GPS\0",
        as_of=now,
        expires_at=MonoNs(now + 60_000_000_000),
        host_minus_mono_ns=host - now,
    )


def _several(workers: int) -> list[list[socket.socket]]:
    """Several workers need a port that has a number before they share it."""
    free = open_socket_sets(["0.0.0.0:0", "[::1]:0"], 1)[0]
    ports = [sock.getsockname()[1] for sock in free]
    for sock in free:
        sock.close()
    return open_socket_sets([f"0.0.0.0:{ports[0]}", f"[::1]:{ports[1]}"], workers)


@contextlib.asynccontextmanager
async def serving(
    *, workers: int = 1, policy: ServerPolicy | None = None, on_request: OnRequest = lambda *_: None
) -> AsyncIterator[tuple[AnsweringService, int, int]]:
    """A service on 127.0.0.0/8 and ::1 that has a good state; gives its two ports as well."""
    sockets = open_socket_sets(["0.0.0.0:0", "[::1]:0"], 1) if workers < 2 else _several(workers)
    ports = [int(sock.getsockname()[1]) for sock in sockets[0]]
    service = await start_service(
        sockets, policy or ServerPolicy(), in_process=not workers, user="nobody", on_request=on_request
    )
    try:
        service.publish(good_state())
        yield service, ports[0], ports[1]
    finally:
        await service.stop()


async def exchange(packet: bytes, address: str, port: int, patience: float = 2) -> bytes:
    """Send, and return what comes back from that very address and port."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect((address, port))
        sock.send(packet)
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 2000), patience)


async def ask(port: int, address: str = "127.0.0.1", patience: float = 2) -> Header:
    return parse_header(await exchange(b"\x23" + bytes(39) + os.urandom(8), address, port, patience))


def ask_now(port: int) -> Header:
    return asyncio.run(ask(port))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another process brings about."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - no event can be set from there
            await asyncio.sleep(0.01)


async def until_denied(service: AnsweringService, port: int) -> None:
    """Ask until the policy that denies us is in force, which takes a worker a moment."""
    async with asyncio.timeout(20):
        while "dropped/access_denied" not in service.counters():
            with contextlib.suppress(TimeoutError):
                await ask(port, patience=0.2)


async def until_allowed(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(TimeoutError):
                await ask(port, patience=0.2)
                return


async def counted(service: AnsweringService, expected: dict[str, int]) -> None:
    """Wait for the counters to say so: a packet is counted after it is answered."""
    with contextlib.suppress(TimeoutError):
        await until(lambda: service.counters() == expected)
    assert service.counters() == expected


def is_running(pid: int) -> bool:
    """Whether there is such a process, other than as a zombie that its new parent has not yet looked at."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.bind(("127.0.0.1", port))
        return True
    return False


async def until_answered(port: int, address: str) -> None:
    """Ask until there is an answer: what waits for a worker that starts gets none."""
    async with asyncio.timeout(20):
        while True:
            with contextlib.suppress(TimeoutError):
                assert (await ask(port, address, patience=0.5)).stratum == 1
                return


def is_free_at(address: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.bind((address, port))
        return True
    return False


def worker_of(service: AnsweringService, number: int = 0) -> SupervisedWorker:
    assert isinstance(service, Workers)
    return service._workers[number]


def spares_ready(service: AnsweringService) -> int:
    return sum(spare.usable for spare in worker_of(service)._spares)


def pid_of(service: AnsweringService, number: int = 0) -> int:
    """0 while none serves."""
    link = worker_of(service, number)._link
    return link.pid if link else 0


@pytest.fixture(params=[0, 1], ids=["in process", "worker"])
def workers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def run() -> Callable[[Coroutine[Any, Any, None]], None]:
    """Run a test's coroutine, in debug mode so that forgotten results and slow callbacks show."""
    return lambda coroutine: asyncio.run(asyncio.wait_for(coroutine, 60))


def test_both_families_are_answered_from_the_address_that_was_asked(run, workers):
    async def main():
        async with serving(workers=workers) as (service, port, port6):
            for address, its_port in (("127.0.0.1", port), ("127.0.0.2", port), ("::1", port6)):
                answer = await ask(its_port, address)
                assert (answer.leap, answer.stratum, answer.reference_id) == (Leap.NONE, 1, b"GPS\0")
            await until(lambda: service.clients() == 2)
            await counted(service, {"answered/basic": 3})

    run(main())


def test_before_a_state_is_published_answers_are_unsynchronised(run, workers):
    async def main():
        sockets = open_socket_sets(["127.0.0.1:0"], 1)
        port = sockets[0][0].getsockname()[1]
        service = await start_service(
            sockets, ServerPolicy(), in_process=not workers, user="nobody", on_request=lambda *_: None
        )
        assert (await ask(port)).leap is Leap.UNSYNCHRONISED
        await service.stop()

    run(main())


def test_a_request_that_only_control_can_answer_makes_the_round_trip(run, workers):
    async def main():
        heard = []

        def answer_twice(packet, client, reply):
            heard.append((packet, client))
            reply(b"first")
            reply(b"second")

        async with serving(workers=workers, on_request=answer_twice) as (service, port, port6):
            assert await exchange(QUESTION, "127.0.0.2", port) == b"first"
            assert await exchange(QUESTION, "::1", port6) == b"first"
            assert heard == [(QUESTION, b"\x7f\0\0\x01"), (QUESTION, bytes(15) + b"\x01")]
            await counted(service, {"handed_up/not_for_worker": 2})

    run(main())


def test_an_error_in_answering_monitors_disturbs_no_client(run, workers):
    async def main():
        errors = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))

        def fail(packet, client, reply):
            raise ZeroDivisionError

        async with serving(workers=workers, on_request=fail) as (service, port, _):
            with pytest.raises(TimeoutError):
                await exchange(QUESTION, "127.0.0.1", port, patience=0.1)
            assert (await ask(port)).stratum == 1
            await counted(service, {"handed_up/not_for_worker": 1, "answered/basic": 1})
        assert [type(error) for error in errors] == [ZeroDivisionError]

    run(main())


def test_a_new_policy_is_followed_without_a_restart(run, workers):
    async def main():
        async with serving(workers=workers) as (service, port, _):
            await ask(port)
            service.adopt(ServerPolicy(deny=("127.0.0.0/8",)))
            with pytest.raises(ValueError, match="no net"):
                service.adopt(ServerPolicy(allow=("no networks",)))
            await until_denied(service, port)
            service.adopt(ServerPolicy())
            await until_allowed(port)

    run(main())


def test_new_sockets_are_taken_over_and_those_that_are_no_longer_wanted_are_closed(run, workers, caplog):
    async def talk():
        [sockets] = open_socket_sets(["127.0.0.1:0", "[::1]:0"], 1)
        kept, former = (int(sock.getsockname()[1]) for sock in sockets)
        service = await start_service(
            [sockets], ServerPolicy(), in_process=not workers, user="nobody", on_request=lambda *_: None
        )
        try:
            service.publish(good_state())
            assert (await ask(former, "::1")).stratum == 1
            [[fresh]] = open_socket_sets(["[::1]:0"], 1)
            service.listen_on([[sockets[0], fresh]])
            await until_answered(fresh.getsockname()[1], "::1")
            await until_answered(kept, "127.0.0.1")
            await until(lambda: is_free_at("::1", former))
        finally:
            await service.stop()
        assert [record for record in caplog.records if record.levelno > logging.INFO] == []

    run(talk())


def test_a_worker_of_root_has_no_rights_and_the_name_of_the_server(run):
    async def main():
        async with serving() as (service, _, _):
            process = Path("/proc") / str(pid_of(service))
            assert (process / "comm").read_text() == "ntp_usg_server\n"
            lines = (process / "status").read_text().splitlines()
            status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            assert status["NoNewPrivs"] == "1"
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                assert int(status[name], 16) == 0, name
            if os.geteuid() == 0:
                assert int(status["CapBnd"], 16) == 0
                assert "0" not in status["Uid"].split()
                assert "0" not in status["Gid"].split()
                assert status["Groups"].split() == []

    run(main())


def test_a_killed_worker_is_replaced_and_the_counters_go_on(run, caplog):
    async def main():
        async with serving(policy=ServerPolicy(deny=("127.0.0.9",))) as (service, port, _):
            await ask(port)
            await counted(service, {"answered/basic": 1})
            first = pid_of(service)
            os.kill(first, signal.SIGKILL)
            assert (await ask(port, patience=20)).stratum == 1  # asked while nobody was there
            assert pid_of(service) != first
            await counted(service, {"answered/basic": 2})
            await until(lambda: "another takes over: killed by signal 9" in caplog.text)

    run(main())


def test_signals_meant_for_the_whole_group_do_not_stop_the_worker(run):
    async def main():
        async with serving() as (service, port, _):
            pid = pid_of(service)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                os.kill(pid, number)
            await ask(port)
            assert pid_of(service) == pid
            await counted(service, {"answered/basic": 1})

    run(main())


def test_stopping_ends_the_worker_and_closes_the_sockets(run):
    async def main():
        async with serving() as (service, port, _):
            pid = pid_of(service)
        assert not is_running(pid)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("0.0.0.0", port))

    run(main())


def test_a_worker_that_hangs_is_killed_on_stopping(run):
    async def main():
        async with serving() as (service, _, _):
            pid = pid_of(service)
            os.kill(pid, signal.SIGSTOP)
        assert not is_running(pid)

    run(main())


def test_stopping_while_the_dead_are_replaced_leaves_nobody_behind(run, caplog):
    async def main():
        async with serving() as (service, _, _):
            first = pid_of(service)
            os.kill(first, signal.SIGKILL)
            await until(lambda: "has ended" in caplog.text and pid_of(service) not in {0, first})
            second = pid_of(service)
        assert not is_running(second)
        assert not worker_of(service)._links

    run(main())


def test_when_a_worker_is_killed_under_load_answers_go_on_within_200_milliseconds(run):
    async def main():
        loop = asyncio.get_running_loop()
        async with serving(policy=ServerPolicy(rate_limit=False)) as (service, port, _):
            await until(lambda: spares_ready(service) > 0)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.connect(("127.0.0.1", port))
                sock.setblocking(False)
                victim, silences, last = pid_of(service), [], loop.time()
                end = last + 1.5
                while loop.time() < end:
                    sock.send(b"\x23" + bytes(39) + os.urandom(8))
                    await asyncio.wait_for(loop.sock_recv(sock, 100), 5)
                    silences.append(loop.time() - last)
                    last = loop.time()
                    if victim and last > end - 1:
                        os.kill(victim, signal.SIGKILL)
                        victim = 0
            assert not victim
            assert max(silences) < 0.2

    run(main())


@pytest.mark.fault(
    group="Service",
    kind="The answering worker hangs.",
    noticed="It does not respond for 0.12 s: the log says so, a spare worker takes over, and this one is ended.",
    served="Answers, after a gap of less than 0.2 s.",
)
def test_a_worker_that_hangs_is_replaced_before_clients_give_up(run, caplog):
    async def main():
        async with serving() as (service, port, _):
            await until(lambda: spares_ready(service) > 0)
            first = pid_of(service)
            os.kill(first, signal.SIGSTOP)
            stopped = time.monotonic()
            await ask(port)
            assert time.monotonic() - stopped < 1  # 0.2 s where nothing else runs
            assert pid_of(service) != first
            assert service.complaint() == ""
            assert f"The answering worker (process {first}) has not responded for 0." in caplog.text
        assert not is_running(first)

    run(main())


def test_where_nobody_can_take_over_a_worker_that_hangs_is_complained_of(run):
    async def main():
        async with serving() as (service, port, _):
            await until(lambda: spares_ready(service) == SPARES)
            links = [*worker_of(service)._links]
            for link in links:
                os.kill(link.pid, signal.SIGSTOP)
            await until(lambda: "does not respond" in service.complaint())
            for link in links:
                os.kill(link.pid, signal.SIGCONT)
            await ask(port)
            await until(lambda: service.complaint() == "")

    run(main())


def test_a_worker_that_is_killed_while_it_starts_is_started_again(run, caplog):
    async def main():
        [sockets] = open_socket_sets(["127.0.0.1:0"], 1)
        worker = SupervisedWorker(sockets, create_state_memory(), ServerPolicy(), account_of("nobody"), lambda *_: None)
        await until(lambda: bool(worker._links))
        [link] = worker._links
        os.kill(link.pid, signal.SIGKILL)
        await worker.ready()
        await ask(sockets[0].getsockname()[1])
        assert "A worker could not be started; next try in 0.1 s: killed by signal 9" in caplog.text
        await worker.stop()

    run(main())


def test_two_workers_killed_one_after_the_other_leave_no_gap(run):
    async def main():
        async with serving(policy=ServerPolicy(rate_limit=False)) as (service, port, _):
            await until(lambda: spares_ready(service) == SPARES)
            for _ in range(SPARES):
                os.kill(pid_of(service), signal.SIGKILL)
                await ask(port, patience=1)
            await until(lambda: spares_ready(service) == SPARES)

    run(main())


def test_clients_are_counted_across_workers(run):
    async def main():
        async with serving() as (service, port, _):
            await until(lambda: spares_ready(service) > 0)
            for host in range(1, 31):
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    sock.bind((f"127.0.0.{host}", 0))
                    sock.settimeout(5)
                    sock.sendto(b"\x23" + bytes(47), ("127.0.0.1", port))
                    sock.recv(100)
            await until(lambda: service.clients() == 30)
            os.kill(pid_of(service), signal.SIGKILL)
            await ask(port, patience=20)
            await until(lambda: service.counters()["answered/basic"] == 31)
            assert service.clients() == 30

    run(main())


def test_several_workers_share_the_clients_by_address(run):
    async def main():
        async with serving(workers=3) as (service, port, port6):
            first_counts = []
            for host in range(1, 31):
                for _ in range(2):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                        sock.bind((f"127.0.0.{host}", 0))
                        sock.settimeout(5)
                        sock.sendto(b"\x23" + bytes(47), ("127.0.0.1", port))
                        assert parse_header(sock.recv(100)).stratum == 1
            assert (await ask(port6, "::1")).stratum == 1
            await counted(service, {"answered/basic": 61})
            first_counts = [worker_of(service, number).counters.as_dict() for number in range(3)]
            assert all(first_counts)  # everybody has something to do
            await until(lambda: service.clients() == 31)  # and nobody is known to two of them
            records = [record for table in service.client_tables() for record in table.records()]
            assert len(records) == 31
            assert sum(record.hits for record in records) == 61

    run(main())


def test_a_worker_that_cannot_start_is_an_error_with_its_last_words(run):
    async def main():
        [sockets] = open_socket_sets(["127.0.0.1:0"], 1)
        account: Any = ("nonsense", 0)
        worker = SupervisedWorker(sockets, create_state_memory(), ServerPolicy(), account, lambda *_: None)
        with pytest.raises(
            NtpUsgError, match=r"(?s)could be started in 3 tries: exit status 1\n.*invalid literal.*nonsense"
        ):
            await worker.ready()
        await worker.stop()

    run(main())


def test_bad_settings_are_refused_before_any_process_is_started(run, monkeypatch):
    async def main():
        sockets = open_socket_sets(["127.0.0.1:0"], 1)
        with pytest.raises(ValueError, match="no net"):
            await start_service(
                sockets,
                ServerPolicy(deny=("no networks",)),
                in_process=False,
                user="nobody",
                on_request=lambda *_: None,
            )
        if os.geteuid() == 0:
            with pytest.raises(NtpUsgError, match="cannot run as `nobody-of-that-name`"):
                await start_service(
                    sockets, ServerPolicy(), in_process=False, user="nobody-of-that-name", on_request=lambda *_: None
                )
        for sock in sockets[0]:
            sock.close()

    run(main())


def test_a_worker_that_talks_nonsense_is_replaced(run, caplog):
    async def main():
        async with serving() as (service, port, _):
            first = pid_of(service)
            for nonsense in (b"\xff", b"\x03answer", b"\x02short"):
                worker = worker_of(service)
                assert worker._link
                worker._hear(worker._link, nonsense)
            await until_allowed(port)
            assert pid_of(service) != first
        assert caplog.text.count("sent invalid data") == 3

    run(main())


def test_when_control_is_busy_the_worker_drops_questions_and_goes_on_answering(run):
    async def main():
        heard = []
        policy = ServerPolicy(rate_limit=False)
        async with serving(policy=policy, on_request=lambda *args: heard.append(args)) as (service, port, _):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.settimeout(5)
                sock.connect(("127.0.0.1", port))
                end = time.monotonic() + 15
                while "dropped/queue_full" not in service.counters():  # blocks: this process is control
                    assert time.monotonic() < end
                    for _ in range(50):
                        sock.send(QUESTION + bytes(1000))
                sock.send(b"\x23" + bytes(47))
                assert parse_header(sock.recv(1000)).stratum == 1
            assert heard == []
            await until(lambda: len(heard) == service.counters()["handed_up/not_for_worker"])

    run(main())


def test_what_a_slow_worker_cannot_take_waits_for_it(run):
    async def main():
        many = tuple(f"127.{number >> 8}.{number & 255}.0/24" for number in range(65536))
        async with serving() as (service, port, _):
            link = worker_of(service)._link
            assert link
            os.kill(link.pid, signal.SIGSTOP)
            service.adopt(ServerPolicy(deny=many))
            assert link.congested
            os.kill(link.pid, signal.SIGCONT)
            await until(lambda: not link.congested)
            await until_denied(service, port)
            service.adopt(ServerPolicy())
            await until_allowed(port)
            assert pid_of(service) == link.pid

    run(main())


CONTROL = textwrap.dedent("""
    import asyncio, json
    from ntp_usg.core.base.snapshots import Leap, ServingState
    from ntp_usg.core.server.policy import ServerPolicy
    from ntp_usg.net.answering import start_service
    from ntp_usg.net.udp import open_socket_sets
    from ntp_usg.sysapi.timex import read_clocks

    async def main():
        sockets = open_socket_sets(["127.0.0.1:0"], 1)
        port = sockets[0][0].getsockname()[1]
        service = await start_service(
            sockets, ServerPolicy(), in_process=False, user="nobody", on_request=lambda *_: None
        )
        told = False
        while True:
            host, now = read_clocks()
            service.publish(ServingState(leap=Leap.NONE, stratum=1, as_of=now, expires_at=now + 1_000_000_000,
                                         host_minus_mono_ns=host - now))
            if not told:
                print(json.dumps({"port": port, "worker": service._workers[0]._link.pid}), flush=True)
                told = True
            await asyncio.sleep(0.1)

    asyncio.run(main())
""")


@pytest.fixture
def control():
    """A control process of its own whose states last one second, with its port and its worker's process id."""
    with subprocess.Popen([sys.executable, "-c", CONTROL], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        started = json.loads(process.stdout.readline())
        yield process, started["port"], started["worker"]
        process.kill()


def test_a_stopped_control_process_delays_no_answer_and_the_worker_stays_honest(control):
    process, port, _ = control
    process.send_signal(signal.SIGSTOP)
    assert ask_now(port).leap is Leap.NONE
    time.sleep(1.1)
    assert ask_now(port).leap is Leap.UNSYNCHRONISED
    process.send_signal(signal.SIGCONT)
    end = time.monotonic() + 15
    while ask_now(port).leap is not Leap.NONE:
        assert time.monotonic() < end
        time.sleep(0.02)  # or the rate limit refuses us


@pytest.mark.fault(
    group="Service",
    kind="The control process is killed.",
    noticed="The service manager sees it; the next daemon ends the workers that are left, and says so.",
    served="Answers from its last state, until that expires after 64 s or another daemon starts.",
)
def test_when_control_is_killed_its_last_state_is_served_until_it_expires(control):
    process, port, worker = control
    process.kill()
    process.wait()
    assert ask_now(port).leap is Leap.NONE
    assert is_running(worker)
    asyncio.run(until(lambda: not is_running(worker) and is_free(port)))


def test_a_worker_without_control_ends_when_it_is_told_to(control):
    process, port, worker = control
    os.kill(worker, signal.SIGHUP)
    process.kill()
    process.wait()
    assert ask_now(port).leap is Leap.NONE
    os.kill(worker, signal.SIGTERM)
    killed = time.monotonic()
    asyncio.run(until(lambda: not is_running(worker)))
    assert time.monotonic() - killed < 0.9  # before its state expires


def test_only_workers_without_control_are_ended_for_their_port(control):
    process, port, worker = control
    assert end_orphans({port}) == []
    assert ask_now(port).leap is Leap.NONE
    process.kill()
    process.wait()
    assert end_orphans({port + 1}) == []
    assert worker in end_orphans({port})
    assert is_free(port)


def test_answering_in_process_needs_no_other(run):
    async def main():
        async with serving(workers=0) as (service, _, _):
            assert isinstance(service, LocalService)

    run(main())
