"""The HTTP API on the control socket and, with less to see, on TCP where wanted. It shows and changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ntp_usg.core.server.listing import MOST_CLIENTS, Order, Question
from ntp_usg.observe.health import judge_health
from ntp_usg.observe.metrics import render_metrics
from ntp_usg.observe.status import describe_clients, describe_status
from ntp_usg.observe.view import DaemonView


def build_app(view: DaemonView, *, private: bool = False) -> Starlette:
    """/metrics for Prometheus, /healthz for probes (200 or 503), /api/v1/status for everything else.

    `private` adds /api/v1/clients: who asks is for those whom the control socket lets in.
    """

    async def metrics(_: Request) -> Response:
        return Response(render_metrics(view), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_: Request) -> Response:
        health = judge_health(view.snapshot(), view.now())
        return PlainTextResponse(health.text + "\n", status_code=200 if health.ok else 503)

    async def status(_: Request) -> Response:
        return JSONResponse(describe_status(view))

    async def clients(request: Request) -> Response:
        try:
            question = _parse_question(request.query_params)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, 400)
        return await asyncio.to_thread(lambda: JSONResponse(describe_clients(view, question)))

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

    async def apologise(_: Request, __: Exception) -> Response:
        return JSONResponse({"error": "internal error: see the daemon's log"}, 500)

    routes = [Route(path, page) for path, page in pages.items()]
    return Starlette(routes=routes, exception_handlers={HTTPException: explain, Exception: apologise})


def _parse_question(parameters: Mapping[str, str]) -> Question:
    """`by` and `limit`. Raises ValueError with a sentence for who asks."""
    by, limit = parameters.get("by", Order.RECENT), parameters.get("limit", "100")
    if by not in list(Order):
        raise ValueError(f"by must be one of {', '.join(Order)}")
    if not limit.isascii() or not limit.isdecimal() or len(limit) > 5 or not 1 <= int(limit) <= MOST_CLIENTS:
        raise ValueError(f"limit must be a number from 1 to {MOST_CLIENTS}")
    return Question(Order(by), int(limit))
