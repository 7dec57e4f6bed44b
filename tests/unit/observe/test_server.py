"""The API over real sockets: there is no other way to see what a slow or hostile client does."""

import asyncio
import errno
import json
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.responses import Response

from ntp_usg.core.base.errors import BusyError, NtpUsgError
from ntp_usg.core.base.snapshots import Leap, SystemSnapshot
from ntp_usg.observe import server
from ntp_usg.observe.server import HttpServer, serve_tcp, serve_unix
from ntp_usg.observe.view import DaemonView
from ntp_usg.observe.web import build_app


@asynccontextmanager
async def connection(
    where: int | Path, source: str = "127.0.0.1"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    if isinstance(where, Path):
        reader, writer = await asyncio.open_unix_connection(where)
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", where, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def wait_until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Whatever comes until the server closes or aborts."""
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""


async def get(where: int | Path, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body; the server ends the connection."""
    async with connection(where) as (reader, writer):
        writer.write(f"{method} {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
        head, _, body = (await rest(reader)).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def serving(view: DaemonView, talk: Callable[[HttpServer], Awaitable[None]]) -> None:
    async def run() -> None:
        running = await serve_tcp(build_app(view), "127.0.0.1", 0)
        try:
            await talk(running)
        finally:
            await running.stop()

    asyncio.run(run())


def test_metrics_are_text_that_prometheus_reads(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        status, headers, body = await get(running.port, "/metrics")
        assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
        assert b"\nntp_usg_stratum 1.0\n" in body

    serving(view, talk)


def test_health_is_200_or_503_with_the_reason_in_words(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        assert (await get(running.port, "/healthz"))[::2] == (
            200,
            b"ok: follows PPS(0), stratum 1, error below 3.000 us\n",
        )
        lost = replace(view.snapshot().serving, leap=Leap.UNSYNCHRONISED)
        view.shown = replace(view.snapshot(), serving=lost)  # type: ignore[attr-defined]
        status, _, body = await get(running.port, "/healthz")
        assert status == 503
        assert b"GPS_NMEA(0): numbers the seconds of PPS(0)" in body

    serving(view, talk)


def test_status_is_one_json_document(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        status, headers, body = await get(running.port, "/api/v1/status")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert json.loads(body)["system"]["selected"] == "PPS(0)"

    serving(view, talk)


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/", 404, "no such path; there are /metrics, /healthz, /api/v1/status"),
        ("GET", "/metrics/..%2f..%2fetc/passwd", 404, "no such path"),
        ("POST", "/metrics", 405, "POST is not for this path: use GET"),
        ("DELETE", "/api/v1/status", 405, "use GET"),
    ],
)
def test_a_wrong_path_or_method_gets_a_clear_json_error(
    view: DaemonView, method: str, path: str, status: int, words: str
):
    async def talk(running: HttpServer) -> None:
        found, headers, body = await get(running.port, path, method)
        assert (found, headers["content-type"]) == (status, "application/json")
        assert words in json.loads(body)["error"]

    serving(view, talk)


def test_who_asks_is_told_on_the_control_socket_only(view: DaemonView, tmp_path: Path):
    path = tmp_path / "control.sock"
    view.table.visit(bytes([192, 0, 2, 1]), view.now())  # type: ignore[attr-defined]

    async def run() -> None:
        running = await serve_unix(build_app(view, private=True), path)
        try:
            status, _, body = await get(path, "/api/v1/clients?by=hits&limit=5")
            assert (status, json.loads(body)["clients"][0]["address"]) == (200, "192.0.2.1")
            for wrong in ("by=name", "limit=0", "limit=10001", "limit=-1", "limit=many", "limit=", "limit=%D9%A1"):
                status, _, body = await get(path, f"/api/v1/clients?{wrong}")
                assert (status, wrong.partition("=")[0] in json.loads(body)["error"]) == (400, True)
        finally:
            await running.stop()

    async def talk(running: HttpServer) -> None:
        assert (await get(running.port, "/api/v1/clients"))[0] == 404

    asyncio.run(run())
    serving(view, talk)


@pytest.mark.parametrize("path", ["/metrics", "/api/v1/status", "/api/v1/clients"])
def test_long_work_is_done_elsewhere_and_refused_where_too_much_of_it_waits(
    view: DaemonView, tmp_path: Path, path: str
):
    async def full(_: object) -> Response:
        raise BusyError("too many ask at once: try again in a moment")

    async def run() -> None:
        running = await serve_unix(build_app(view, full, private=True), tmp_path / "control.sock")
        try:
            status, headers, body = await get(tmp_path / "control.sock", path)
            assert (status, headers["retry-after"]) == (503, "1")
            assert "try again" in json.loads(body)["error"]
            assert (await get(tmp_path / "control.sock", "/healthz"))[0] == 200
        finally:
            await running.stop()

    asyncio.run(run())


def test_the_text_of_an_internal_error_stays_inside(view: DaemonView, caplog: pytest.LogCaptureFixture):
    def broken() -> SystemSnapshot:
        raise RuntimeError("a secret")

    view.snapshot = broken  # type: ignore[method-assign]

    async def talk(running: HttpServer) -> None:
        status, _, body = await get(running.port, "/api/v1/status")
        assert (status, json.loads(body)) == (500, {"error": "internal error: see the daemon's log"})

    serving(view, talk)
    assert "a secret" in caplog.text


def test_each_connection_carries_one_request(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        _, headers, _ = await get(running.port, "/healthz")
        assert headers["connection"] == "close"

    serving(view, talk)


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\xff" * 100 + b"\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /" + b"a" * 70_000, b"\x16\x03\x01\x02\x00\x01"],
)
def test_garbage_and_endless_headers_are_refused_and_the_server_lives_on(
    view: DaemonView, garbage: bytes, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.2)

    async def talk(running: HttpServer) -> None:
        async with connection(running.port) as (reader, writer):
            writer.write(garbage)
            answer = await rest(reader)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
        assert (await get(running.port, "/healthz"))[0] == 200

    serving(view, talk)


def test_a_client_that_never_finishes_is_cut_off(view: DaemonView, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "CONNECTION_SECONDS", 0.1)

    async def talk(running: HttpServer) -> None:
        async with connection(running.port) as (reader, writer):
            writer.write(b"GET /metrics HTTP/1.1\r\nHost:")
            assert await rest(reader) == b""

    serving(view, talk)


@pytest.mark.fault(
    group="Attacks",
    kind="Somebody holds many idle connections to the HTTP port.",
    noticed="Probes and scrapers get their answers as before.",
    served="Time as before.",
)
def test_a_new_connection_takes_the_place_of_the_oldest_idle_one_of_whoever_has_most(
    view: DaemonView, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 3)

    async def talk(running: HttpServer) -> None:
        async with (
            connection(running.port, "127.0.0.9") as (other, writer),
            connection(running.port) as (first, _),
            connection(running.port) as (second, _),
        ):
            await wait_until(lambda: running.connections == 3)
            assert (await get(running.port, "/healthz"))[0] == 200
            assert await rest(first) == b""
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await rest(other)).startswith(b"HTTP/1.1 200 ")
            assert not second.at_eof()

    serving(view, talk)


def test_a_flood_of_connections_does_not_shut_others_out(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        async with AsyncExitStack() as held:
            for _ in range(2 * server.MAX_CONNECTIONS):
                _, writer = await held.enter_async_context(connection(running.port))
                writer.write(b"GET /")
            assert (await get(running.port, "/healthz"))[0] == 200

    serving(view, talk)


@pytest.mark.fault(
    group="Service",
    kind="The daemon has no file descriptor left.",
    noticed="The log says so, and that LimitNOFILE= must be raised, once and then each minute.",
    served="Time as before; status and health answer again as soon as an idle connection is closed.",
)
def test_out_of_descriptors_an_idle_connection_makes_room_and_the_log_stays_small(
    view: DaemonView, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    async def talk(running: HttpServer) -> None:
        async with connection(running.port) as (idle, _):
            await wait_until(lambda: running.connections == 1)
            listener = running._listener
            real, refusals = listener.endpoint, [OSError(errno.EMFILE, "Too many open files")]

            class Starved:
                def accept(self) -> tuple[socket.socket, object]:
                    if refusals:
                        raise refusals.pop()
                    return real.accept()

                def __getattr__(self, name: str) -> object:
                    return getattr(real, name)

            listener.endpoint = Starved()  # type: ignore[assignment]
            assert (await get(running.port, "/healthz"))[0] == 200
            assert await rest(idle) == b""

    serving(view, talk)
    assert caplog.text.count("LimitNOFILE") == 1


def test_stopping_ends_open_connections_at_once(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        async with connection(running.port) as (reader, writer):
            writer.write(b"GET")
            await asyncio.wait_for(running.stop(), 5)
            assert await rest(reader) == b""

    serving(view, talk)


def test_a_port_in_use_is_an_error_in_plain_text(view: DaemonView):
    async def talk(running: HttpServer) -> None:
        with pytest.raises(NtpUsgError, match=rf"HTTP on 127.0.0.1 port {running.port}: another program listens there"):
            await serve_tcp(build_app(view), "127.0.0.1", running.port)

    serving(view, talk)


@pytest.mark.parametrize(
    ("host", "words"), [("203.0.113.1", "no such address"), ("fe80::1%nosuchif", "cannot serve HTTP")]
)
def test_an_address_that_is_not_ours_is_an_error_in_plain_text(view: DaemonView, host: str, words: str):
    with pytest.raises(NtpUsgError, match=words):
        asyncio.run(serve_tcp(build_app(view), host, 0))


def test_the_control_socket_is_for_owner_and_group_and_goes_with_the_daemon(view: DaemonView, tmp_path: Path):
    path = tmp_path / "control.sock"

    async def run() -> None:
        running = await serve_unix(build_app(view), path)
        try:
            assert stat.S_IMODE(path.stat().st_mode) == 0o660
            assert (await get(path, "/healthz"))[0] == 200
        finally:
            await running.stop()

    asyncio.run(run())
    assert not path.exists()


def test_the_socket_of_a_dead_daemon_is_taken_over(view: DaemonView, tmp_path: Path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))

    async def run() -> None:
        await (await serve_unix(build_app(view), path)).stop()

    asyncio.run(run())


def test_a_living_daemon_is_not_pushed_aside(view: DaemonView, tmp_path: Path):
    path = tmp_path / "control.sock"

    async def run() -> None:
        first = await serve_unix(build_app(view), path)
        with pytest.raises(NtpUsgError, match=r"another daemon answers on .*control\.sock"):
            await serve_unix(build_app(view), path)
        assert path.is_socket()
        await first.stop()

    asyncio.run(run())


def test_no_other_file_is_removed_for_the_control_socket(view: DaemonView, tmp_path: Path):
    path = tmp_path / "control.sock"
    path.write_text("precious")
    with pytest.raises(NtpUsgError, match="a file that is not a socket is in its place"):
        asyncio.run(serve_unix(build_app(view), path))
    assert path.read_text() == "precious"


def test_a_missing_directory_is_explained(view: DaemonView, tmp_path: Path):
    with pytest.raises(NtpUsgError, match="its directory does not exist"):
        asyncio.run(serve_unix(build_app(view), tmp_path / "missing" / "control.sock"))
