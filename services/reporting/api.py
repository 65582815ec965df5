"""Reporting's HTTP: what is asked becomes a query, what is found becomes an answer."""

from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from services.reporting import page, projection, queries
from services.reporting.domain import DIMENSIONS, MEASURES
from services.reporting.projection import Check
from services.reporting.queries import Aggregates, Question, UnknownQuestion
from shared.database import Database
from shared.http import Problem, metrics
from shared.offices import COOKIE, Caller, Doorkeeper, require_administrator

FORM_LIMIT = 4096
"""Bytes of a sign-in form: a token and nothing else."""

_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": "array", "items": {"type": "string"}},
        "style": "form",
        "explode": True,
    }
    for name, description in {
        "measure": f"Repeatable, or with commas; all when there is none. One of {', '.join(MEASURES)}.",
        "by": f"Repeatable, or with commas; one row when there is none. One of {', '.join(DIMENSIONS)}.",
        "from": "The first month, YYYY-MM.",
        "to": "The last month, YYYY-MM.",
        **{name: f"Only these. {meaning}" for name, meaning in DIMENSIONS.items()},
    }.items()
]


class Positions(BaseModel):
    """How far both streams are applied. ``heard`` says the same: all that reporting has, it has heard."""

    position: dict[str, int]
    heard: dict[str, int]


class MeasureLine(BaseModel):
    counts: str
    dimensions: list[str]


class Measures(BaseModel):
    """What can be asked: each measure with the dimensions that apply to it, each dimension with its meaning."""

    measures: dict[str, MeasureLine]
    dimensions: dict[str, str]


def routes(database: Database, door: Doorkeeper, *, https: bool) -> APIRouter:
    """Every address of reporting but its health."""
    router = APIRouter()
    asked = Annotated[Caller, Depends(door.open)]
    router.add_api_route("/metrics", metrics, dependencies=[Depends(door.open)], include_in_schema=False)

    @router.get("/v1/aggregates", response_model=Aggregates, openapi_extra={"parameters": _PARAMETERS})
    async def aggregates(request: Request, _: asked) -> Response:
        try:
            question = queries.read_question(request.query_params.multi_items())
        except UnknownQuestion as unknown:
            raise Problem(400, unknown.code, unknown.message) from None
        async with database.transaction() as session:
            await queries.one_snapshot(session)
            position = await queries.positions(session)
            tag = queries.tag(question, position)
            headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
            if _has(request, tag):
                return Response(status_code=304, headers=headers)
            answer = await queries.aggregates(session, question, position)
        return Response(answer.model_dump_json(), media_type="application/json", headers=headers)

    @router.get("/v1/position")
    async def position(_: asked) -> Positions:
        async with database.transaction() as session:
            heard = await queries.positions(session)
        return Positions(position=heard, heard=heard)

    @router.get("/v1/measures")
    async def measures(_: asked) -> Measures:
        return Measures(
            measures={
                name: MeasureLine(counts=measure.counts, dimensions=list(measure.dimensions))
                for name, measure in MEASURES.items()
            },
            dimensions=dict(DIMENSIONS),
        )

    @router.get("/v1/check")
    async def check(caller: asked) -> Check:
        require_administrator(caller)
        async with database.transaction() as session:
            await queries.one_snapshot(session)
            return await projection.check(session)

    @router.get("/", include_in_schema=False)
    async def report(request: Request) -> Response:
        try:
            await _reader(request, door)
        except Problem as problem:
            signed_in_before = COOKIE in request.cookies
            return _html(page.sign_in(problem.message if signed_in_before else None), problem.status)
        given = [(name, value) for name, value in request.query_params.multi_items() if value]
        try:
            question = queries.read_question(given) if given else Question(by=page.BY)
        except UnknownQuestion as unknown:
            return _html(page.refusal(unknown.message), 400)
        async with database.transaction() as session:
            await queries.one_snapshot(session)
            answer = await queries.aggregates(session, question, await queries.positions(session))
        return _html(page.report(question, answer, chosen=any(name == "measure" for name, _ in given)))

    @router.post("/session", include_in_schema=False)
    async def sign_in(request: Request) -> Response:
        _same_site(request)
        token = await _token_of_form(request)
        try:
            await door.caller(token)
        except Problem as problem:
            return _html(page.sign_in(problem.message), problem.status)
        answer = RedirectResponse("/", 303)
        # Without an age: it ends with the browser, since a centre's computer is shared.
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=https)
        return answer

    @router.post("/session/end", include_in_schema=False)
    async def sign_out(request: Request) -> Response:
        _same_site(request)
        answer = RedirectResponse("/", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=https)
        return answer

    return router


def _has(request: Request, tag: str) -> bool:
    """Whether the caller says that they hold this answer (If-None-Match: weak comparison, RFC 9110, 13.1.2)."""
    held = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    return tag in held or held == ["*"]


async def _reader(request: Request, door: Doorkeeper) -> Caller:
    """Who looks at the page: by the cookie of its form, or by a bearer token like any program."""
    token = request.cookies.get(COOKIE)
    return await door.caller(token) if token else await door.open(request)


def _same_site(request: Request) -> None:
    """Another site's page must not sign anybody in or out. Browsers say so; a program that does not is no browser."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Problem(403, "other_site", "Sign in on this service's own page.")


async def _token_of_form(request: Request) -> str:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise Problem(415, "content_type", "Send the token as the form on this service's page does.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_LIMIT:
            raise Problem(413, "body_too_large", f"The form is larger than {FORM_LIMIT} bytes.")
    fields = parse_qs(bytes(body).decode("ascii", errors="replace"))
    return fields.get("token", [""])[0].strip()


def _html(content: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(content, status, headers=page.HEADERS)
