"""What the three services' HTTP sides have in common: errors with a code, health, bodies of events, entity tags."""

import asyncio
import logging
import resource
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import correlation, tracing
from shared.bodies import BoundedBody
from shared.collecting import collect_seldom
from shared.database import is_crowded, is_transient
from shared.deadletters import describe
from shared.events.receipts import Receipts
from shared.events.wire import BODY_LIMIT, BodyRefused, Raw, read_body
from shared.heartbeat import heartbeat
from shared.openapi import BUNDLE_BODY, CORRELATION, EVENTS_BODY, OPEN, refusals

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 2
CONNECTIONS = 10_000
"""So many may be open in a process, files among them."""
EXPIRES_HEADER = "Sampan-Token-Expires"
"""Comes with every answer to a token that ends soon, and says when."""
WARN_BEFORE = timedelta(days=30)
READY_SECONDS = 3
"""How long a look at the database may take before that is the answer: a container's health check waits four seconds."""
STATUS_OF_BODY = {"content_type": 415, "body_too_large": 413, "too_many_events": 413}
"""HTTP statuses of bodies that are refused as a whole; every other code is a 400."""

Ready = Callable[[], Awaitable[list[str]]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Problem(Exception):
    """An answer other than success: what happened and what to do next, in one sentence or two."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class Positions(BaseModel):
    """How far the service's own stream reaches, and up to where it has heard those of others, by the streams' names.

    Reporting has no stream of its own: all that it has, it has heard.
    """

    position: dict[str, int]
    heard: dict[str, int]


class Alive(BaseModel):
    """The process answers."""

    alive: bool


class Readiness(BaseModel):
    """Whether the service can do all its work now, and what keeps it from that, in plain words."""

    ready: bool
    problems: list[str]


EVENTS: dict[str, Any] = {
    "response_model": Receipts,
    "responses": {
        200: {"description": "No event was rejected.", "model": Receipts},
        207: {"description": "Some events were rejected; the others were taken.", "model": Receipts},
        422: {"description": "Every event was rejected.", "model": Receipts},
        **refusals(400, 413, 415),
    },
    "openapi_extra": {"requestBody": EVENTS_BODY, "parameters": [CORRELATION]},
}
"""What the document says of POST /v1/events, which reads its body with ``events_body``."""
BUNDLE: dict[str, Any] = EVENTS | {"openapi_extra": {"requestBody": BUNDLE_BODY, "parameters": [CORRELATION]}}
"""The same of POST /v1/bundles."""


def create_app(title: str, lifespan: Lifespan, problems: Ready) -> FastAPI:
    """A service's FastAPI application with its health, metrics and error answers.

    ``problems`` tells what keeps the service from being ready; it may raise, which counts as a problem too.
    """
    # FastAPI's own documentation pages load scripts from another host, which a ministry's network may not reach.
    app = FastAPI(
        title=title,
        lifespan=_traced(lifespan),
        # Its own would tell queries and the messages of errors to whatever endpoint the environment names.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        generate_unique_id_function=_operation,
        separate_input_output_schemas=False,  # a message has one schema, the frozen one
    )
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_query)
    app.add_middleware(BoundedBody)
    app.add_middleware(_LastResort)
    app.add_middleware(_OnItsWay)  # around the other: its lines tell the id too
    look = _Look(problems)

    @app.get("/livez", openapi_extra=OPEN)
    async def livez() -> Alive:
        """Whether the process lives."""
        return Alive(alive=True)

    @app.get(
        "/readyz",
        response_model=Readiness,
        responses={503: {"description": "Not ready.", "model": Readiness}},
        openapi_extra=OPEN,
    )
    async def readyz() -> JSONResponse:
        """Whether the service can do all its work: database, broker, streams and consumers."""
        found = await look.found()
        return JSONResponse({"ready": not found, "problems": found}, 503 if found else 200)

    return app


def with_heartbeat(app: FastAPI) -> FastAPI:
    """The application, which ends its process when nothing moves in it any more; for a process of its own."""
    lifespan = app.router.lifespan_context

    @asynccontextmanager
    async def beating(app: FastAPI) -> AsyncIterator[Any]:
        collect_seldom()
        _open_as_many_as_allowed()
        with heartbeat():
            async with lifespan(app) as state:
                yield state

    app.router.lifespan_context = beating
    return app


def _open_as_many_as_allowed() -> None:
    """Let this process have more connections than the 1024 that a login mostly gives it, as far as it is allowed to."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS if most == resource.RLIM_INFINITY else min(CONNECTIONS, most)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class _Look:
    """Looks at what is wrong, and answers in time also when the look does not end."""

    def __init__(self, problems: Ready) -> None:
        self._problems = problems
        self._looking: asyncio.Task[list[str]] | None = None

    async def found(self) -> list[str]:
        # One at a time, and not cancelled: to abandon a statement takes as long as the database hangs.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        looking = self._looking
        await asyncio.wait([looking], timeout=READY_SECONDS)
        return looking.result() if looking.done() else [f"the database does not answer within {READY_SECONDS} s"]

    async def _look(self) -> list[str]:
        try:
            return await self._problems()
        except Exception as error:
            return [f"the database does not answer ({type(error).__name__})"]


def tell_addresses(app: FastAPI, door: Callable[[Request], Awaitable[object]], addresses: Mapping[str, str]) -> None:
    """Answer GET /v1/services: where each of the three services is, so that a client needs to know only one of them."""

    @app.get("/v1/services", dependencies=[Depends(door)])
    async def services() -> dict[str, str]:
        """Where each of the three services is."""
        return dict(addresses)


def tell_browsers(app: FastAPI, nothing_here: Callable[[Request], Response]) -> None:
    """At an address where there is nothing a browser is answered with a page, and a program as before."""

    async def answer(request: Request, error: Exception) -> Response:
        # Also where only a form leads to: a browser that reads the address again finds nothing there.
        lost = isinstance(error, HTTPException) and error.status_code in (404, 405)
        if lost and "text/html" in request.headers.get("accept", ""):
            return nothing_here(request)
        return await _http_error(request, error)

    app.add_exception_handler(HTTPException, answer)


def metrics() -> Response:
    """The process's metrics in Prometheus' text format."""
    return metrics_and(b"")


def metrics_and(more: bytes) -> Response:
    """The same, and others in that format after them."""
    return Response(generate_latest() + more, media_type=CONTENT_TYPE_LATEST)


async def events_body(request: Request, keep: Callable[[str, bytes], Awaitable[None]] | None = None) -> list[Raw]:
    """The raw events of a POST, whose size goes to ``request.state.size``; never reads more than the limit into memory.

    Raises ``Problem`` 400, 413 or 415 when the body as a whole cannot be read; what was read of it is given to ``keep`` with
    the code, unless it is too large.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "content_encoding", "Send the body as it is, without Content-Encoding. Nothing was taken.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > BODY_LIMIT:
            break
    request.state.size = len(body)
    try:
        return read_body(request.headers.get("content-type", ""), bytes(body))
    except BodyRefused as refused:
        status = STATUS_OF_BODY.get(refused.code, 400)
        if keep is not None and 0 < len(body) <= BODY_LIMIT:
            await keep(refused.code, bytes(body))
        raise Problem(status, refused.code, f"{refused.sentence} Nothing was taken.") from None


def holds(request: Request, tag: str) -> bool:
    """Whether the caller holds the answer with this entity tag: If-None-Match, a list or ``*``, in weak comparison
    (RFC 9110, 13.1.2), since whoever compresses an answer on its way makes its tag a weak one.
    """
    held = {one.strip().removeprefix("W/") for one in ",".join(request.headers.getlist("if-none-match")).split(",")}
    return bool(held & {tag, "*"})


def receipts_response(receipts: Receipts) -> Response:
    """200 when nothing was rejected, 207 when some was, 422 when all was."""
    rejected = sum(receipt.status == "rejected" for receipt in receipts.receipts)
    status = 200 if not rejected else 422 if rejected == len(receipts.receipts) else 207
    return Response(receipts.model_dump_json(exclude_none=True), status, media_type="application/json")


def _operation(route: APIRoute) -> str:
    """An operation's id in the document: the function's name says it."""
    return route.name


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return JSONResponse({"code": error.code, "message": error.message}, error.status, error.headers)


async def _http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}
    messages = {
        404: "There is nothing at this address.",
        405: "This address does not take that method.",
    }
    return JSONResponse(
        {
            "code": codes.get(error.status_code, "http_error"),
            "message": messages.get(error.status_code, str(error.detail)),
        },
        error.status_code,
        dict(error.headers or {}),
    )


async def _invalid_query(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "the body"
    said = first["msg"].removeprefix("Value error, ")  # pydantic's words before those of a check of ours
    return JSONResponse({"code": "invalid_query", "message": f"{where}: {said}."}, 400)


class _LastResort:
    """Turns whatever a route raised into an answer, before the server would log it.

    The server's own log would hold the error's message, and a message may hold what an office sent.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False
        state = scope.setdefault("state", {})

        async def watched(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                if warning := _ends_soon(state.get("token_expires")):
                    message["headers"] = [
                        *message.get("headers", ()),
                        (EXPIRES_HEADER.lower().encode(), warning.encode()),
                    ]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.info("%s %s: the caller went away", scope["method"], scope["path"])
        except Exception as error:
            answer = _unexpected(scope["method"], scope["path"], error)
            if not started:
                await answer(scope, receive, send)


def _ends_soon(expires: datetime | None) -> str | None:
    """The moment at which the caller's token ends, when that is near."""
    return expires.isoformat() if expires is not None and expires - datetime.now(UTC) < WARN_BEFORE else None


_ASKED_ALL_THE_TIME = ("/livez", "/readyz", "/metrics")
"""By what watches the service: nothing follows from it, and a trace of each would hide the others."""


class _OnItsWay:
    """Gives each request its correlation id, the caller's own or a new one, and answers it in the header."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _ASKED_ALL_THE_TIME:
            await self._app(scope, receive, send)
            return
        way = correlation.way_of(Headers(scope=scope))
        method = scope["method"]
        with tracing.span(method, "server", [way], {"http.request.method": method}) as span:

            async def answered(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(scope=message)[correlation.HEADER] = way.correlation
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, answered)
            if (route := scope.get("route")) is not None:  # its template: an address itself may hold anything
                span.update_name(f"{method} {route.path}")
                span.set_attribute("http.route", route.path)


def _traced(lifespan: Lifespan) -> Lifespan:
    """Spans that are left go out at the end: a server that ends by a signal runs no other last rites."""

    @asynccontextmanager
    async def flushed(app: FastAPI) -> AsyncIterator[None]:
        async with lifespan(app):
            yield
        await asyncio.to_thread(tracing.flush)

    return flushed


def _unexpected(method: str, path: str, error: Exception) -> Response:
    if is_crowded(error):
        log.warning("%s %s: all connections to the database are in use", method, path)
        return JSONResponse(
            {"code": "unavailable", "message": "The service has all hands full. Try again shortly."},
            503,
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    if is_transient(error):
        log.warning("%s %s: the database is away (%s)", method, path, describe(error))
        return JSONResponse(
            {"code": "unavailable", "message": "The service cannot reach its database. Try again shortly."},
            503,
            {"Retry-After": str(RETRY_AFTER_SECONDS)},
        )
    log.error("%s %s failed: %s", method, path, describe(error))
    return JSONResponse(
        {"code": "internal", "message": "Something went wrong here, and nothing was taken. It has been logged."}, 500
    )
