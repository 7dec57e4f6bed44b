"""The HTTP API on the control socket and, with less to see, on TCP where wanted. It shows and changes nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ntp_usg.core.base.errors import BusyError
from ntp_usg.core.server.listing import MOST_CLIENTS, Order, Question
from ntp_usg.observe.health import judge_health
from ntp_usg.observe.hosts import HostCheck
from ntp_usg.observe.metrics import render_metrics
from ntp_usg.observe.status import describe_clients, describe_status
from ntp_usg.observe.view import DaemonView, Moment


class Aside(Protocol):
    """Does work in a thread; may raise BusyError."""

    def __call__(self, work: Callable[[], Response], /) -> Awaitable[Response]: ...


def build_app(
    view: DaemonView, do: Aside = asyncio.to_thread, *, private: bool = False, hosts: Collection[str] = ()
) -> Starlette:
    """/metrics for Prometheus, /healthz for probes (200 or 503), /api/v1/status for everything else.

    What takes longer than a moment is done by `do`. `private` adds /api/v1/clients: who asks is for those whom the
    control socket lets in. Others must ask for an address, or for one of the names in `hosts`.
    """

    async def metrics(_: Request) -> Response:
        now = Moment(view)
        return await do(lambda: Response(render_metrics(now), media_type=CONTENT_TYPE_LATEST))

    async def healthz(_: Request) -> Response:
        health = judge_health(view.snapshot(), view.now(), view.complaint())
        return PlainTextResponse(health.text + "\n", status_code=200 if health.ok else 503)

    async def status(_: Request) -> Response:
        now = Moment(view)
        return await do(lambda: JSONResponse(describe_status(now)))

    async def clients(request: Request) -> Response:
        try:
            question = _parse_question(request.query_params)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        now = Moment(view)
        return await do(lambda: _PiecewiseJSON(describe_clients(now, question)))

    pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/metrics": metrics,
        "/healthz": healthz,
        "/api/v1/status": status,
    }
    if private:
        pages["/api/v1/clients"] = clients

    async def explain(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        text = {
            404: f"no such path; there are {', '.join(pages)}",
            405: f"{request.method} is not for this path: use GET",
        }
        return JSONResponse(
            {"error": text.get(error.status_code, error.detail)}, error.status_code, headers=error.headers
        )

    async def refuse(_: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 503, headers={"retry-after": "1"})

    async def apologise(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": "internal error: see the daemon's log"}, 500)

    routes = [Route(path, page) for path, page in pages.items()]
    return Starlette(
        routes=routes,
        middleware=[] if private else [Middleware(HostCheck, hosts)],
        exception_handlers={HTTPException: explain, BusyError: refuse, Exception: apologise},
    )


class _PiecewiseJSON(JSONResponse):
    """For long documents: json.dumps would keep all other threads from running until it is done."""

    def render(self, content: object) -> bytes:
        encoder = json.JSONEncoder(allow_nan=False, separators=(",", ":"))
        return "".join(encoder.iterencode(content)).encode()


def _parse_question(parameters: Mapping[str, str]) -> Question:
    """`by` and `limit`. Raises ValueError with a sentence for who asks."""
    by, limit = parameters.get("by", Order.RECENT), parameters.get("limit", "100")
    if by not in list(Order):
        raise ValueError(f"by must be one of {', '.join(Order)}")
    if not limit.isascii() or not limit.isdecimal() or len(limit) > 5 or not 1 <= int(limit) <= MOST_CLIENTS:
        raise ValueError(f"limit must be a number from 1 to {MOST_CLIENTS}")
    return Question(Order(by), int(limit))
