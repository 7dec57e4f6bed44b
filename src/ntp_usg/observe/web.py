"""The HTTP API: the same application on the control socket and, where wanted, on TCP. It shows and changes nothing."""

from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ntp_usg.observe.health import judge_health
from ntp_usg.observe.metrics import render_metrics
from ntp_usg.observe.status import describe_status
from ntp_usg.observe.view import DaemonView


def build_app(view: DaemonView) -> Starlette:
    """/metrics for Prometheus, /healthz for probes (200 or 503), /api/v1/status for everything else."""

    async def metrics(_: Request) -> Response:
        return Response(render_metrics(view), media_type=CONTENT_TYPE_LATEST)

    async def healthz(_: Request) -> Response:
        health = judge_health(view.snapshot(), view.now())
        return PlainTextResponse(health.text + "\n", status_code=200 if health.ok else 503)

    async def status(_: Request) -> Response:
        return JSONResponse(describe_status(view))

    pages: dict[str, Callable[[Request], Awaitable[Response]]] = {
        "/metrics": metrics,
        "/healthz": healthz,
        "/api/v1/status": status,
    }

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
