"""`ntp_usg status`: how the daemon on this machine is doing."""

import grp
import http.client
import json
import socket
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from ntp_usg.cli.application import print_report
from ntp_usg.cli.tables import status_table
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.sysapi.processes import running

DEFAULT_SOCKET = Path("/run/ntp_usg/control.sock")
"""As in config.models, which is not imported: it would double the time that every command takes to start."""
DAEMON = "ntp_usg_server"
"""As /proc names it."""
TIMEOUT = 5.0
WATCH_INTERVAL = 1.0

SocketPath = Annotated[
    Path,
    # not `readable`: we say ourselves who may open it
    typer.Option("--socket", metavar="PATH", readable=False, help="The daemon's [server] control_socket."),
]


def status(
    *,
    path: SocketPath = DEFAULT_SOCKET,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document; intervals in seconds.")] = False,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Renew the table every second until Ctrl-C.")] = False,
) -> None:
    """Show what the daemon on this machine serves, from which sources, and why.

    Exit code: 0 synchronised, 1 not, 2 no daemon answers.
    """
    if as_json and watch:
        raise typer.BadParameter("--json and --watch exclude each other")
    try:
        document = fetch_status(path)
        if as_json:
            typer.echo(json.dumps(document, indent=2))
        elif watch:
            document = _watch(path, document)
        else:
            print_report(status_table(document))
    except NtpUsgError as error:
        typer.echo(f"ntp_usg status: {error}", err=True)
        raise typer.Exit(2) from None
    raise typer.Exit(0 if document["health"]["ok"] else 1)


def fetch_status(path: Path) -> dict[str, Any]:
    """The document of `/api/v1/status`.

    Raises NtpUsgError with what to do where no daemon gives it.
    """
    return fetch(path, "/api/v1/status", "health")


def fetch(path: Path, page: str, key: str) -> dict[str, Any]:
    """The document of a page, which has this key. Raises NtpUsgError with what to do where no daemon gives it."""
    connection = _UnixConnection(path)
    try:
        connection.request("GET", page)
        response = connection.getresponse()
        document: dict[str, Any] = json.loads(response.read())
    except (http.client.HTTPException, ValueError) as error:
        raise NtpUsgError(f"what answers on {path} is not ntp_usg_server: {error}") from error
    except OSError as error:
        raise NtpUsgError(_advice(path, error)) from error
    finally:
        connection.close()
    if response.status != 200 or key not in document:
        what = f"HTTP {response.status} {response.reason}"
        raise NtpUsgError(f"what answers on {path} gives nothing at {page}: {what}; is it of this version?")
    return document


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


def _advice(path: Path, error: OSError) -> str:
    """The way out, in the words of the person who is stuck."""
    if isinstance(error, FileNotFoundError):
        return _missing(path)
    if isinstance(error, PermissionError):
        return f"you may not open {path}: use sudo, or join {_group(path)} and log in again"
    if isinstance(error, ConnectionRefusedError):
        return f"the daemon behind {path} has gone: look at `journalctl -u ntp-server`, then start it again"
    if isinstance(error, TimeoutError):
        return f"the daemon behind {path} has not answered for {TIMEOUT:g} s: look at `journalctl -u ntp-server`"
    return f"cannot use {path}: {error.strerror or error}"


def _missing(path: Path) -> str:
    """No socket is not always no daemon: it may listen elsewhere, or could not open one."""
    if daemons := running({DAEMON}):
        return (
            f"{path} does not exist, but {daemons[0]} runs: name its [server] control_socket with --socket, "
            "or look in its log for why it has none (`journalctl -u ntp-server`)"
        )
    return (
        f"no daemon here: {path} does not exist. Start one (`systemctl start ntp-server`, or ntp_usg_server), "
        "or name its socket with --socket"
    )


def _group(path: Path) -> str:
    try:
        return f"its group (`sudo usermod -a -G {grp.getgrgid(path.stat().st_gid).gr_name} $USER`)"
    except (OSError, KeyError):
        return "the group of its directory"


def _watch(path: Path, document: dict[str, Any]) -> dict[str, Any]:
    """Keep the table fresh until Ctrl-C; the last document seen."""
    try:
        with Live(status_table(document), console=Console(highlight=False), auto_refresh=False) as live:
            while True:
                time.sleep(WATCH_INTERVAL)
                document = fetch_status(path)
                live.update(status_table(document), refresh=True)
    except KeyboardInterrupt:
        return document
