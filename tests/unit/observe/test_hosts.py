"""HTTP answers under our names only, so that another site's page can't read it through a visitor's browser."""

import asyncio
import json

import pytest

from ntp_usg.observe.hosts import is_ours
from ntp_usg.observe.server import serve_tcp, serve_unix
from ntp_usg.observe.web import build_app

NAMES = {"ntp1.example.org"}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:8080", "192.0.2.7", "[::1]:8080", "[2001:db8::7]", "localhost", "LOCALHOST:8080", "localhost.",
        "time.localhost:80", "raspberrypi.local:9100", "ntp1.home.arpa", "ntp1.internal", "ntp1", "ntp1:9100",
        "ntp1.example.org", "NTP1.Example.ORG.:8080", "",
    ],
)  # fmt: skip
def test_addresses_names_without_a_dot_and_configured_names_are_ours(host):
    assert is_ours(host, NAMES)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "evil.example:8080", "ntp1.example.org.evil.example", "127.0.0.1.evil.example", "example.org",
        "localhost.evil.example", "raspberrypi.local.evil.example", "notlocal.example",
        "127.1", "[evil.example]", "[::1].evil.example", "evil.example]",
    ],
)  # fmt: skip
def test_other_names_are_not(host):
    assert not is_ours(host, NAMES)


async def ask(reader, writer, host):
    writer.write(f"GET /api/v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), body


@pytest.mark.fault(
    group="Attacks",
    kind="A page of another site makes a visitor's browser ask our HTTP port under that site's name.",
    noticed="The browser gets status 421.",
    served="Time as before.",
)
def test_a_foreign_name_is_misdirected_on_tcp_and_never_checked_on_the_control_socket(view, tmp_path):
    async def run():
        running = await serve_tcp(build_app(view, hosts=NAMES), "127.0.0.1", 0)
        control = await serve_unix(build_app(view, private=True), tmp_path / "control.sock")
        try:
            for host, expected in [("evil.example", 421), ("ntp1.example.org", 200), ("127.0.0.1:8080", 200)]:
                status, body = await ask(*await asyncio.open_connection("127.0.0.1", running.port), host)
                assert status == expected
                assert ("metrics.hosts" in str(json.loads(body).get("error"))) == (expected == 421)
            status, _ = await ask(*await asyncio.open_unix_connection(tmp_path / "control.sock"), "evil.example")
            assert status == 200
        finally:
            await running.stop()
            await control.stop()

    asyncio.run(run())
