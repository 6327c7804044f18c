"""The application: one page, one question."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

import anyio
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from lossdsl import __version__
from lossdsl.web.guard import Guard, policy
from lossdsl.web.workers import Refused, Stopped, Workers

MAX_BODY = 64 * 1024
BODY_SECONDS = 10.0
MAX_WAITING = 32


@cache
def page() -> str:
    """The whole page, its named losses filled in."""
    from lossdsl.grammar.losses import loss_names

    text = files("lossdsl.web").joinpath("page.html").read_text(encoding="utf-8")
    options = "".join(f"<option{' selected' if name == 'bce' else ''}>{escape(name)}</option>" for name in loss_names())
    return text.replace("<!-- losses -->", options).replace("<!-- version -->", escape(__version__))


def make_app(workers: Workers | None = None) -> Starlette:
    """The ASGI application; it starts and ends its workers itself."""
    pool = workers or Workers()
    limiter = anyio.CapacityLimiter(pool.count)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        pool.start()
        try:
            yield
        finally:
            pool.stop()

    async def index(request: Request) -> Response:
        return HTMLResponse(page())

    async def icon(request: Request) -> Response:
        return Response(status_code=204)

    async def check(request: Request) -> Response:
        if limiter.statistics().tasks_waiting >= MAX_WAITING:
            return _error(503, "too many formulas at once; wait a second")
        try:
            with anyio.fail_after(BODY_SECONDS):
                body = await _body(request)
        except TimeoutError:
            return _error(408, "the request took too long to arrive")
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return _error(413, f"more than {MAX_BODY // 1024} KiB")
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            return _error(400, "this is not JSON")
        async with limiter:
            if await request.is_disconnected():  # the page has moved on: its next formula is behind in the queue
                return Response(status_code=400)
            try:
                found = await anyio.to_thread.run_sync(pool.ask, asked)
            except Refused as error:
                return _error(422, str(error))
            except Stopped as error:
                return _error(503, str(error))
        return _json(found)

    routes = [
        Route("/", index, methods=["GET"]),
        Route("/favicon.ico", icon, methods=["GET"]),
        Route("/check", check, methods=["POST"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan, middleware=[Middleware(Guard, content_policy=policy(page()))])


async def _body(request: Request) -> bytes | None:
    """The body, or None as soon as it is over the limit, whatever Content-Length said."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > MAX_BODY:
            return None
    return bytes(parts)


def _json(content: Any, status: int = 200) -> Response:
    # plain ASCII: half a surrogate pair in a formula must not break the encoding
    return Response(json.dumps(content), status, media_type="application/json")


def _error(status: int, why: str) -> Response:
    return _json({"problem": why}, status)
