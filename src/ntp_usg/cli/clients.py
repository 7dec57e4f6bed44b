"""`ntp_usg clients`: who asks the daemon on this machine for the time."""

import json
import queue
import re
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ntp_usg.cli.application import print_report
from ntp_usg.cli.status import DEFAULT_SOCKET, SocketPath, fetch
from ntp_usg.cli.tables import Document
from ntp_usg.core.base.durations import format_duration
from ntp_usg.core.base.errors import NtpUsgError
from ntp_usg.core.server.listing import MOST_CLIENTS, Order
from ntp_usg.observe.units import format_interval

NAMES_SECONDS = 3.0
"""Names that are not known after so long are left out."""
_ASKERS = 16
_HOST_NAME = re.compile(r"[A-Za-z0-9_.-]{1,253}")
"""What is printed of what DNS says: a name is chosen by whoever owns the address."""


def clients(
    *,
    by: Annotated[
        Order, typer.Option(help="Who comes first: the latest, who asks most, or who has been silent longest.")
    ] = Order.RECENT,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST_CLIENTS, help="How many at most.")] = 20,
    names: Annotated[bool, typer.Option("--names", help="Ask DNS for names, for 3 seconds at most.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document; intervals in seconds.")] = False,
    path: SocketPath = DEFAULT_SOCKET,
) -> None:
    """Show who asks the daemon on this machine: how often, when last, and who is refused for asking too often.

    Exit code: 0, or 2 where no daemon answers.
    """
    try:
        document = fetch(path, f"/api/v1/clients?by={by}&limit={limit}", "clients")
    except NtpUsgError as error:
        typer.echo(f"ntp_usg clients: {error}", err=True)
        raise typer.Exit(2) from None
    if names:
        found = look_up([each["address"] for each in document["clients"]])
        for each in document["clients"]:
            each["name"] = found.get(each["address"])
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        print_report(clients_table(document))


def look_up(addresses: Sequence[str], seconds: float = NAMES_SECONDS) -> Mapping[str, str]:
    """The names of those addresses that DNS knows in time.

    Its threads end with the program, for a resolver may take a minute to give up.
    """
    names: dict[str, str] = {}
    waiting, answered = queue.SimpleQueue[str](), queue.SimpleQueue[tuple[str, str]]()
    for address in addresses:
        waiting.put(address)
    for _ in range(min(_ASKERS, len(addresses))):
        threading.Thread(target=_ask, args=(waiting, answered), daemon=True).start()
    deadline = time.monotonic() + seconds
    for _ in addresses:
        try:
            address, name = answered.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            break
        if _HOST_NAME.fullmatch(name):
            names[address] = name
    return names


def _ask(waiting: "queue.SimpleQueue[str]", answered: "queue.SimpleQueue[tuple[str, str]]") -> None:
    while not waiting.empty():
        try:
            address = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            name = socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
        except OSError:
            name = ""
        answered.put((address, name))


def clients_table(document: Document) -> RenderableType:
    """One line each; what is not known is a dash."""
    rows = document["clients"]
    headings = ["address", "hits", "last seen", "interval", "", *(["name"] if rows and "name" in rows[0] else [])]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        is_number = heading in {"hits", "last seen", "interval"}
        table.add_column(heading, justify="right" if is_number else "left", no_wrap=True)
    for row in rows:
        refused = Text("refused" if row["rate_limited"] else "", style="red")
        table.add_row(*map(Text, _figures(row)), refused, Text(row.get("name") or ""))
    return Group(table, f"{len(rows)} of {document['total']} clients")


def _figures(row: Mapping[str, Any]) -> tuple[str, ...]:
    interval = row["average_interval"]
    spoken = format_interval(interval) if interval is None or interval < 1.0 else format_duration(interval)
    return row["address"], str(row["hits"]), f"{format_duration(row['last_seen_age'])} ago", spoken
