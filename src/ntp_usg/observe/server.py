"""Serving the HTTP API inside the daemon's event loop, to clients that may be slow, broken or hostile.

Only uvicorn's protocol is used: its Server would install signal handlers, end the process when a port is taken, and
wake up ten times a second.
"""

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from pathlib import Path

from starlette.types import ASGIApp
from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.observe.listener import Connection, Listener

MAX_CONNECTIONS = 64
REQUEST_SECONDS = 3.0
"""A connection ends where its request is not there after this."""
CONNECTION_SECONDS = 10.0
"""A connection carries one request and ends after this, however slowly its other end reads."""
MAX_HEADER_BYTES = 16384

# One line for each malformed request would let anybody fill the log.
logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


class HttpServer:
    """The app at one socket, until `stop`."""

    def __init__(self, app: ASGIApp, endpoint: socket.socket, socket_path: Path | None = None) -> None:
        config = Config(
            app,
            http=_BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=MAX_HEADER_BYTES,
        )
        config.load()
        self._state = ServerState()
        self._state.default_headers = [(b"connection", b"close")]
        self._listener = Listener(endpoint, lambda: _BoundedProtocol(config, self._state, self._ended), MAX_CONNECTIONS)
        self._socket_path = socket_path

    @property
    def port(self) -> int:
        """Which port the kernel chose, where it was asked for port 0."""
        return int(self._listener.endpoint.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._state.connections)

    async def stop(self) -> None:
        """Close everything now; an answer that is not out yet is lost."""
        self._listener.close()
        await asyncio.gather(*self._state.tasks, return_exceptions=True)
        if self._socket_path:
            self._socket_path.unlink(missing_ok=True)

    def _ended(self, connection: "_BoundedProtocol") -> None:
        self._listener.ended(connection)


async def serve_tcp(app: ASGIApp, host: str, port: int) -> HttpServer:
    """Answer at an IP address.

    Raises NtpUsgError in plain text where that cannot be.
    """
    try:
        [(family, *_, where)] = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICHOST
        )
        return HttpServer(app, socket.create_server(where, family=family))
    except OSError as error:
        raise NtpUsgError(f"cannot serve HTTP on {host} port {port}: {_cause(error)}") from error


async def serve_unix(app: ASGIApp, path: Path, mode: int = 0o660) -> HttpServer:
    """Answer on a unix socket, to those whom `mode` lets in.

    Raises NtpUsgError in plain text where that cannot be, or where another daemon answers there.
    """
    try:
        return HttpServer(app, _bind(path, mode), path)
    except OSError as error:
        raise NtpUsgError(f"cannot open the control socket {path}: {_cause(error)}") from error


class _BoundedProtocol(H11Protocol, Connection):
    """One connection, bounded in time: uvicorn itself waits for ever for the rest of a request."""

    def __init__(self, config: Config, state: ServerState, ended: Callable[["_BoundedProtocol"], None]) -> None:
        super().__init__(config, state, app_state={})
        self._ended = ended
        self._connected = False
        self._deadlines: list[asyncio.TimerHandle] = []

    @property
    def idle(self) -> bool:
        return self._connected and self.cycle is None

    def abort(self) -> None:
        if self._connected:
            self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._connected = True
        later = self.loop.call_later
        self._deadlines = [later(REQUEST_SECONDS, self._expect), later(CONNECTION_SECONDS, transport.abort)]

    def connection_lost(self, exc: Exception | None) -> None:
        for deadline in self._deadlines:
            deadline.cancel()
        self._ended(self)
        super().connection_lost(exc)

    def _expect(self) -> None:
        if self.idle:
            self.abort()


def _bind(path: Path, mode: int) -> socket.socket:
    _clear(path)
    endpoint = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        endpoint.bind(str(path))
        path.chmod(mode)  # nobody gets in before: it does not listen yet
    except OSError:
        endpoint.close()
        raise
    return endpoint


def _clear(path: Path) -> None:
    """Remove the socket of a daemon that is no more; refuse to push a living one aside, or any other file."""
    if not path.is_socket():
        if path.exists():
            raise NtpUsgError(f"cannot open the control socket {path}: a file that is not a socket is in its place")
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
        else:
            raise NtpUsgError(f"another daemon answers on {path}: stop it first, or set server.control_socket")


def _cause(error: OSError) -> str:
    """What is wrong and, where one is known, the way out."""
    advice = {
        errno.EADDRINUSE: "another program listens there; choose another port, or find it with `ss -ltnp`",
        errno.EADDRNOTAVAIL: "this machine has no such address",
        errno.EACCES: "not permitted to this user",
        errno.ENOENT: "its directory does not exist; systemd makes it (RuntimeDirectory=), else create it",
    }
    # From Python 3.13 on, asyncio gives no number where none of the addresses could be bound.
    return advice.get(error.errno or errno.EADDRNOTAVAIL) or error.strerror or str(error)
