"""Which names HTTP answers under: a page of another site must not read our state through a visitor's browser.

Such a page makes its own name mean our address (DNS rebinding); the browser then sends that name in the Host header.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:\[\]]*))(?::[0-9]*)?")

_PRIVATE = (".localhost", ".local", ".home.arpa", ".internal")
"""Domains that the public DNS never has: RFC 6761, RFC 6762 (`raspberrypi.local`), RFC 8375, and ICANN's `internal`."""


class HostCheck:
    """ASGI middleware: 421 for requests to names that are not ours."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = {name.lower().rstrip(".") for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "")
        app = self._app if is_ours(host, self._names) else _MISDIRECTED
        await app(scope, receive, send)


def is_ours(host: str, names: Collection[str]) -> bool:
    """Whether a Host header names an address, this machine, or one of `names`; old clients send none.

    No site on the internet has an address, a name without a dot or one of a private domain for its own name.
    """
    match = _HOST.fullmatch(host)
    if match is None:
        return False
    name = (match[1] or match[2]).lower().rstrip(".")
    return "." not in name or name.endswith(_PRIVATE) or name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


_MISDIRECTED = JSONResponse(
    {"error": "this server is not known under that name: use its IP address, or add the name to metrics.hosts"}, 421
)
