"""The client association on its real network path, against Debian's chronyd as a server that we did not write."""

import asyncio
import getpass
import secrets
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from ntp_usg.core.associations.client import ClientAssociation
from ntp_usg.core.associations.settings import AssociationSettings
from ntp_usg.core.base.addresses import ServerAddress
from ntp_usg.core.base.instants import HostNs, MonoNs, RawNs, seconds
from ntp_usg.core.base.samples import Exchange
from ntp_usg.core.base.verdicts import Reason
from ntp_usg.net.client import ClientEndpoints

pytestmark = pytest.mark.peer


@pytest.fixture
def chronyd(require_peer: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[..., int]]:
    """Starts a chronyd on loopback that serves this machine's time and leaves its clock alone; gives its port."""
    servers = []

    def start(*lines: str) -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        configuration = tmp_path / "chrony.conf"
        common = f"port {port}\nbindaddress 127.0.0.1\ncmdport 0\nbindcmdaddress /\npidfile {tmp_path}/pid\n"
        configuration.write_text(common + "".join(f"{line}\n" for line in lines))
        command = [str(require_peer("chronyd")), "-x", "-d", "-U", "-u", getpass.getuser(), "-f", str(configuration)]
        servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return port

    yield start
    for server in servers:
        server.terminate()
        server.wait(10)


async def talk(port: int, *, until: Callable[[list[Exchange | Reason]], bool]) -> list[Exchange | Reason]:
    """What became of the answers of a server that is asked a few times a second."""
    results: list[Exchange | Reason] = []
    settings = AssociationSettings(name="server", min_poll=-3, max_poll=-3)
    association = ClientAssociation(settings, secrets.randbits, MonoNs(time.monotonic_ns()))

    def departed(_name: str, at: HostNs) -> None:
        association.sent(RawNs(at))

    def answered(_name: str, data: bytes, at: HostNs) -> None:
        results.append(association.receive(data, RawNs(at), MonoNs(time.monotonic_ns())))

    endpoints = ClientEndpoints({"server": ServerAddress("127.0.0.1", port)}, departed, answered)
    with closing(endpoints):
        async with asyncio.timeout(20):
            while not until(results):
                request = association.timer(MonoNs(time.monotonic_ns()))
                if request is not None:
                    endpoints.send("server", request)
                wait = seconds(association.deadline() - time.monotonic_ns())
                await asyncio.sleep(min(max(wait, 0.0), 0.2))
    return results


def test_chronyd_is_measured(chronyd: Callable[..., int]):
    port = chronyd("allow 127.0.0.1", "local stratum 1")
    results = asyncio.run(talk(port, until=lambda found: sum(isinstance(each, Exchange) for each in found) >= 10))
    exchanges = [result for result in results if isinstance(result, Exchange)]
    assert results == exchanges, "the kernel's stamps and chronyd's answers pass every test"
    assert min(abs(each.sample.offset_ns) for each in exchanges) < 200_000
    assert 0 < min(each.sample.delay for each in exchanges) < 0.002
    assert all(abs(each.sample.offset_ns) / 1e9 <= each.sample.delay / 2 + each.sample.dispersion for each in exchanges)
    assert {(each.remote.stratum, each.remote.leap) for each in exchanges} == {(1, 0)}


def test_an_unsynchronised_chronyd_is_told_apart(chronyd: Callable[..., int]):
    port = chronyd("allow 127.0.0.1")
    assert asyncio.run(talk(port, until=bool))[0] is Reason.UNSYNCHRONISED_SERVER


def test_a_chronyd_that_follows_us_is_not_followed_back(host, start_daemon, require_peer, tmp_path):
    configuration = (
        "local stratum 1\nport 11211\n",
        # With an address of its own, or it would take our source for itself and not follow us.
        "server 127.0.0.1 minpoll 0 maxpoll 0 iburst\nport 11212\nbindacqaddress 127.0.0.2\n",
    )
    sources = "".join(
        f'[[source]]\naddress = "{address}"\nmax_poll = 0\nmin_poll = -1\n'
        for address in ("127.0.0.1:11211", "127.0.0.2:11212")
    )
    with ExitStack() as running:
        for number, lines in enumerate(configuration):
            file = tmp_path / f"{number}.conf"
            file.write_text(f"{lines}allow all\ncmdport 0\nbindcmdaddress /\npidfile {tmp_path}/{number}.pid\n")
            command = [require_peer("chronyd"), "-x", "-d", "-u", "root", "-f", file]
            running.enter_context(host.running(*command, log=tmp_path / f"{number}.log"))
        station = running.enter_context(start_daemon(sources))
        station.wait_until(lambda: "rejected/loop" in station.status()["sources"][1]["verdicts"], "the loop")
        assert [each["tally"] for each in station.status()["sources"]] == ["selected", "rejected"]
