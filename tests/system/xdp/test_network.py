"""The fast path on a virtual wire between two hosts (network namespaces that the tests make), and its ways to end."""

import asyncio
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.system.xdp.wire import NEW_NETWORK, REQUEST, SERVER, Wire, passing

from ntp_usg.cli.status import fetch_status
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.instants import MonoNs
from ntp_usg.core.base.snapshots import Leap, ServingState
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.core.wire.header import parse_header
from ntp_usg.net.answering import start_service
from ntp_usg.net.udp import open_socket_sets
from ntp_usg.net.xdp.attachment import Mode, attach, mode_of, open_fast_path
from ntp_usg.net.xdp.endpoints import listeners
from ntp_usg.net.xdp.service import XdpService, start_xdp
from ntp_usg.sysapi.bpf import Link, XdpFlag
from ntp_usg.sysapi.libc import LIBC, check
from ntp_usg.sysapi.timex import read_clocks


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


@contextmanager
def serving(
    wire: Wire, mode: Mode, names: Sequence[str] = ("wire",), stamping: Sequence[str] = ()
) -> Iterator[Callable[[Callable[[XdpService], Any]], Any]]:
    """Runs the service in the server's namespace; gives a way to do something there with it."""
    loop = asyncio.new_event_loop()
    policy = ServerPolicy()

    async def start() -> XdpService:
        sockets = open_socket_sets(["0.0.0.0:123", "[::]:123"], 1)
        listening = listeners(sockets[0])
        behind = await start_service(sockets, policy, in_process=True, user="", on_request=lambda *_: None)
        service, _ = await start_xdp(behind, policy, names, mode, listening=listening, stamping=stamping)
        assert isinstance(service, XdpService)
        service.publish(good_state())
        return service

    # The loop lives in a thread of its own, which enters the namespace first.
    runner = ThreadPoolExecutor(1)
    holder = os.open(f"/proc/{os.getpid()}/task/{wire.server.holder}/ns/net", os.O_RDONLY)
    runner.submit(lambda: check(LIBC.setns(holder, NEW_NETWORK), "setns")).result()
    os.close(holder)
    try:
        service = runner.submit(lambda: loop.run_until_complete(start())).result()
        running = runner.submit(loop.run_forever)

        def do(work: Callable[[XdpService], Any]) -> Any:
            async def there() -> Any:
                return work(service)

            return asyncio.run_coroutine_threadsafe(there(), loop).result(10)

        try:
            yield do
        finally:
            asyncio.run_coroutine_threadsafe(service.stop(), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            running.result(10)
    finally:
        runner.shutdown()
        loop.close()


def answered(do: Callable[..., Any]) -> int:
    number: int = do(lambda service: service.fast_path().answered)
    return number


@pytest.mark.parametrize("mode", ["native", "generic"])
@pytest.mark.parametrize("server", SERVER)
def test_requests_are_answered_by_the_program(wire, mode, server):
    with serving(wire, mode) as do:
        assert do(lambda service: dict(service.fast_path().interfaces)) == {"wire": mode}
        for _ in range(5):
            request = REQUEST + os.urandom(8)
            answer = parse_header(wire.ask(server, request))
            assert answer.origin_timestamp.to_bytes(8, "big") == request[40:]
            assert (answer.stratum, answer.reference_id) == (1, b"GPS\0")
        assert answered(do) == 5


def test_what_it_leaves_alone_is_answered_behind_it_and_counted_with_the_rest(wire):
    with serving(wire, "native") as do:
        wire.ask(SERVER[0])
        wire.ask(SERVER[0], b"\x0b" + bytes(47))  # version 1
        with suppress(TimeoutError):
            wire.ask(SERVER[0], b"\x24" + bytes(47), patience=0.2)  # an answer
        assert answered(do) == 1
        assert do(lambda service: service.counters()) == {"answered/basic": 2, "dropped/bad_mode": 1}
        merged = do(lambda service: [record.hits for table in service.client_tables() for record in table.records()])
        assert merged == [2]


def test_a_new_policy_is_followed_by_both(wire):
    with serving(wire, "native") as do:
        wire.ask(SERVER[0])
        do(lambda service: service.adopt(ServerPolicy(deny=("10.9.0.0/24",))))
        for packet in (None, b"\x0b" + bytes(47)):
            with pytest.raises(TimeoutError):
                wire.ask(SERVER[0], packet, patience=0.2)
        assert do(lambda service: service.counters()) == {"answered/basic": 1, "dropped/access_denied": 2}
        wire.ask(SERVER[1])
        with pytest.raises(ValueError, match="nonsense"):
            do(lambda service: service.adopt(ServerPolicy(allow=("nonsense",))))
        wire.ask(SERVER[1])
        assert answered(do) == 3


def test_an_unsynchronised_server_says_so_itself(wire):
    with serving(wire, "native") as do:
        do(lambda service: service.publish(ServingState()))
        answer = parse_header(wire.ask(SERVER[0]))
        assert (answer.leap, answer.stratum, answer.reference_id) == (Leap.UNSYNCHRONISED, 0, b"INIT")
        assert answered(do) == 0


def test_the_program_leaves_with_the_service(wire):
    assert wire.programs() == ""
    with serving(wire, "native"):
        assert "xdp" in wire.programs()
    assert wire.programs() == ""


def test_a_killed_process_leaves_nothing_behind(wire):
    script = textwrap.dedent("""
        import socket, time
        from ntp_usg.core.server.policy import ServerPolicy
        from ntp_usg.net.xdp.attachment import attach, open_fast_path
        path = open_fast_path(ServerPolicy())
        attach(path, "wire", socket.if_nametoindex("wire"), "native")
        print("attached", flush=True)
        time.sleep(60)
    """)
    process = wire.server.do(
        lambda: subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "attached\n"
        assert "xdp" in wire.programs()
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 15
    while wire.programs() and time.monotonic() < deadline:  # the kernel tidies up a moment later
        time.sleep(0.01)
    assert wire.programs() == ""


def test_a_new_address_is_answered_there_as_soon_as_it_is_seen(wire):
    with serving(wire, "native") as do:
        wire.server.ip("addr add 10.9.0.7/24 dev wire")
        try:
            wire.ask("10.9.0.7")
            assert answered(do) == 0
            do(lambda service: service._look())
            wire.ask("10.9.0.7")
            assert answered(do) == 1
        finally:
            wire.server.ip("addr del 10.9.0.7/24 dev wire")
        do(lambda service: service._look())
        wire.ask(SERVER[0])
        assert answered(do) == 2


def test_an_interface_that_comes_back_is_served_again(wire, caplog):
    caplog.set_level(logging.INFO)
    with serving(wire, "auto", names=["wire", "plug"]) as do:
        for present in (True, False, True):
            wire.server.ip("link add plug type veth peer name socket" if present else "link del plug")
            do(lambda service: service._look())
            says = {"wire": "native", "plug": "native" if present else "no interface plug here"}
            assert do(lambda service: service.fast_path().interfaces) == says
        assert caplog.text.count("XDP on plug: no interface plug here") == 2
        assert caplog.text.count("XDP on plug: native") == 2
        do(lambda service: service.adopt(ServerPolicy()))
        wire.server.ip("link del plug")
        do(lambda service: service.adopt(ServerPolicy()))
        wire.ask(SERVER[0])
        assert answered(do) == 1


@pytest.mark.parametrize(
    ("kept", "said"),
    [
        (("CAP_BPF", "CAP_NET_ADMIN"), "native"),
        (("CAP_BPF",), "no XDP: needs CAP_BPF and CAP_NET_ADMIN"),
        (("CAP_NET_ADMIN",), "no XDP: needs CAP_BPF and CAP_NET_ADMIN"),
    ],
    ids=str,
)
def test_two_rights_are_needed_and_enough(wire, kept, said):
    script = textwrap.dedent(f"""
        import socket
        from ntp_usg.core.base.errors import NtpUsgError
        from ntp_usg.core.server.policy import ServerPolicy
        from ntp_usg.net.xdp.attachment import attach, mode_of, open_fast_path
        from ntp_usg.sysapi.privileges import drop_privileges
        drop_privileges(uid=0, gid=0, keep={kept})
        try:
            path = open_fast_path(ServerPolicy())
            attach(path, "wire", socket.if_nametoindex("wire"), "native")
            path.bind("wire")
            path.adopt(ServerPolicy(interleaved=True))
            print(mode_of(path, "wire"))
        except NtpUsgError as error:
            print(error)
    """)
    command = [sys.executable, "-c", script]
    run = wire.server.do(lambda: subprocess.run(command, capture_output=True, text=True, check=True))
    assert run.stdout.startswith(said)


def test_where_another_program_is_already_an_explicit_mode_refuses_and_auto_goes_on(wire, caplog):
    other = wire.server.do(lambda: Link(passing(), socket.if_nametoindex("wire"), XdpFlag.NATIVE))
    try:
        with pytest.raises(NtpUsgError, match="another XDP program is on wire already"), serving(wire, "native"):
            pass
        with serving(wire, "auto") as do:
            said = do(lambda service: service.fast_path().interfaces["wire"])
            assert said.startswith("another XDP program is on wire already")
            wire.ask(SERVER[0])
            assert answered(do) == 0
        assert "XDP on wire: another XDP program" in caplog.text
    finally:
        other.close()


def test_offload_is_refused_where_the_card_cannot(wire):
    with pytest.raises(NtpUsgError, match="this card cannot run such a program"), serving(wire, "offload"):
        pass


def test_loopback_has_generic_xdp_only(wire, caplog):
    def try_it() -> str:
        path = open_fast_path(ServerPolicy())
        try:
            attach(path, "lo", 1, "auto")
            return mode_of(path, "lo")
        finally:
            path.close()

    assert wire.server.do(try_it) == "generic"
    assert "lo's driver has no native XDP: using generic XDP" in caplog.text


def test_an_interface_that_is_not_there_is_named(wire):
    wire.server.ip("link set wire name moved")
    try:
        with pytest.raises(NtpUsgError, match="no interface wire here"), serving(wire, "native"):
            pass
    finally:
        wire.server.ip("link set moved name wire")


CONFIGURATION = """
[server]
listen_addr = ["0.0.0.0:123", "[::]:123"]
clock = "virtual"
control_socket = "{folder}/control.sock"
xdp = "wire"
{more}
[simulated]
pretend = true
ahead_secs = 1.5
[clock]
drift_file = ""
[metrics]
enabled = false
[access]
deny = {deny}
"""


@contextmanager
def daemon(wire: Wire, folder: Path, more: str = "") -> Iterator[subprocess.Popen[str]]:
    """The unmodified daemon on the server, its log in a file."""
    write_configuration(folder, deny=[], more=more)
    command: list[str | Path] = [Path(sys.executable).with_name("ntp_usg_server"), "--config", folder / "server.toml"]

    def start() -> subprocess.Popen[str]:
        with (folder / "log").open("w") as log:
            return subprocess.Popen(command, stderr=log, stdout=log, text=True)

    process = wire.server.do(start)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def write_configuration(folder: Path, deny: list[str], more: str = "") -> None:
    (folder / "server.toml").write_text(CONFIGURATION.format(folder=folder, deny=json.dumps(deny), more=more))


def fast_path_of(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = fetch_status(folder / "control.sock")["queries"]["fast_path"]
    return document


def wait_for(condition: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with suppress(NtpUsgError, TimeoutError, ConnectionRefusedError):
            if condition():
                return
        time.sleep(0.05)
    pytest.fail(f"waited in vain:\n{(folder / 'log').read_text()}")


@pytest.mark.peer
def test_the_daemon_answers_a_real_client_reloads_and_is_honest_when_it_stands_still(wire, tmp_path, require_peer):
    ntpdig = require_peer("ntpdig")
    with daemon(wire, tmp_path) as process:
        wait_for(lambda: parse_header(wire.ask(SERVER[0], patience=0.2)).stratum == 1, tmp_path)
        wait_for(lambda: fast_path_of(tmp_path)["answered"] > 0, tmp_path)
        before = fast_path_of(tmp_path)
        assert before["interfaces"] == {"wire": "native"}
        said = wire.client.do(lambda: subprocess.run([ntpdig, SERVER[0]], capture_output=True, text=True, check=True))
        assert float(said.stdout.split()[3]) == pytest.approx(1.5, abs=0.1)
        assert fast_path_of(tmp_path)["answered"] == before["answered"] + 1

        process.send_signal(signal.SIGSTOP)
        for _ in range(50):  # the program counts on for four seconds, then the worker answers
            assert parse_header(wire.ask(SERVER[0])).stratum == 1
            time.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        assert 10 <= fast_path_of(tmp_path)["answered"] - before["answered"] - 1 <= 45

        write_configuration(tmp_path, deny=["10.9.0.0/24"])
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Reloaded: access.deny" in (tmp_path / "log").read_text(), tmp_path)
        with pytest.raises(TimeoutError):
            wire.ask(SERVER[0], patience=0.2)
        assert parse_header(wire.ask(SERVER[1])).stratum == 1
        assert "xdp" in wire.programs()
        process.kill()
        process.wait(10)
        wait_for(lambda: not wire.programs(), tmp_path)


@pytest.mark.peer
def test_ntpqs_monstats_counts_the_places_taken_in_the_tables_of_program_and_worker(wire, tmp_path, require_peer):
    command = [require_peer("ntpq"), "-n", "-c", "monstats", "127.0.0.1"]

    def figures() -> dict[str, str]:
        said = wire.server.do(lambda: subprocess.run(command, capture_output=True, text=True, check=True)).stdout
        return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in said.splitlines())}

    with daemon(wire, tmp_path, more="max_clients = 1000"):
        wait_for(lambda: parse_header(wire.ask(SERVER[0], patience=0.2)).stratum == 1, tmp_path)
        wait_for(lambda: fast_path_of(tmp_path)["answered"] > 0, tmp_path)
        wire.ask(SERVER[1])
        wire.ask(SERVER[0], b"\x0b" + bytes(47))  # version 1 is the worker's, which now has this client as well
        wait_for(lambda: figures()["addresses in use"] == "4", tmp_path)  # with ntpq itself
        assert figures()["maximum addresses"] == "2000"
