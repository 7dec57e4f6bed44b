import asyncio

import pytest

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.base.snapshots import FastPathSnapshot
from ntp_usg.core.server.policy import ServerPolicy
from ntp_usg.net.answering import start_service
from ntp_usg.net.udp import open_socket_sets
from ntp_usg.net.xdp import service as service_module
from ntp_usg.net.xdp.service import start_xdp

REASON = "no XDP: this kernel, 5.10.0, is older than 6.1"


@pytest.fixture(autouse=True)
def old_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_policy, **_options):
        raise NtpUsgError(REASON)

    monkeypatch.setattr(service_module, "open_fast_path", refuse)


async def behind_it(sockets):
    return await start_service(sockets, ServerPolicy(), in_process=True, user="", on_request=lambda *_: None)


def test_without_xdp_auto_mode_goes_on_as_before_and_says_why(caplog):
    async def start() -> None:
        behind = await behind_it(open_socket_sets(["127.0.0.1:0"], 1))
        service, fast_path = await start_xdp(behind, ServerPolicy(), ["eth0"], "auto", listening=[])
        assert service is behind
        assert fast_path() == FastPathSnapshot({"eth0": REASON}, answered=0)
        await behind.stop()

    asyncio.run(start())
    assert f"{REASON}: every request goes through the network stack" in caplog.text


def test_without_xdp_a_mode_that_was_named_stops_everything():
    async def start() -> None:
        sockets = open_socket_sets(["127.0.0.1:0"], 1)
        behind = await behind_it(sockets)
        with pytest.raises(NtpUsgError, match=REASON):
            await start_xdp(behind, ServerPolicy(), ["eth0"], "native", listening=[])
        assert sockets[0][0].fileno() == -1, "closed"

    asyncio.run(start())
