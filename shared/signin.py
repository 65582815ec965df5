"""Signing in to the pages: a browser sends no bearer token, so a form takes it and a cookie names the session it opened.

Programs never need it; only pages, and what they link to, look at the cookie.
"""

import logging
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute

from shared import pages
from shared.audit import Act, Audit
from shared.bodies import whole
from shared.database import is_transient
from shared.http import Problem
from shared.offices import Caller, Doorkeeper, remote_of
from shared.pages import languages
from shared.pages.languages import Language
from shared.pages.languages import noted as _
from shared.pages.rendering import Frame, Pages
from shared.sessions import Sessions, Visitor

log = logging.getLogger(__name__)

TOKEN_LIMIT = 4096
"""Bytes of a sign-in form: a token and nothing else."""
FORM_LIMIT = 1_048_576
"""Bytes of any other form: what a person types, with each byte of another script sent as three letters."""
FIELDS_LIMIT = 10_000
"""More than any form that the desk shows with all its lines, which a test counts."""
FORM = "application/x-www-form-urlencoded"
_OURS = re.compile(r"/(?:[a-z0-9-]+(?:[./][a-z0-9-]+)*)?(?:\?[A-Za-z0-9=&%._~+-]*)?")
"""Where a form may lead to; an address of somebody else's making leads to the first page."""
_TOO_LONG = _("The form is too long. Send a long list as a file.")
REASONS = (
    _("Sign in on this service's own page."),
    _("Use the form on the page."),
    _("Your session has ended. Please sign in again."),
    _("This token is not known, or was revoked. Ask the administrator for a new one."),
    _("This token has expired. Ask the administrator for a new one."),
    _("Please sign in."),
)
"""What the form may have to say, for the catalogue."""
_NOT_TAKEN = _("Your session has ended, and what you sent was not taken. Sign in, and send it again.")
_BY_CODE = {
    "too_many": _("Too much was tried at once. Wait %(seconds)s seconds and try again."),
    "unavailable": _("The database does not answer. Try again in a moment."),
}
"""The same, where the message is for programs."""
_PAGES = Pages()


def routes(sessions: Sessions, audit: Audit, *, https: bool) -> APIRouter:
    """Where the forms of the pages lead. With ``https`` the cookie never travels in the clear."""
    router = APIRouter(include_in_schema=False)

    @router.post("/session")
    async def sign_in(request: Request) -> Response:
        try:
            _same_site(request)
            token = dict(await form(request, TOKEN_LIMIT)).get("token", "").strip()
            session, caller = await sessions.start(token, remote_of(request))
        except Problem as problem:
            return _sign_in_page(request, _page_to_go_to(request), problem)
        except Exception as error:
            if not is_transient(error):
                raise
            return _sign_in_page(
                request, _page_to_go_to(request), Problem(503, "unavailable", "", {"Retry-After": "2"})
            )
        await _record(audit, Act(caller, "session.started"))
        answer = RedirectResponse(_page_to_go_to(request), 303)
        # Without an age: it ends with the browser, since a centre's computer is shared.
        answer.set_cookie(sessions.cookie, session, httponly=True, samesite="strict", secure=https)
        return answer

    @router.post("/session/end")
    async def sign_out(request: Request) -> Response:
        try:
            _same_site(request)
        except Problem as problem:
            return _sign_in_page(request, "/", problem)
        if session := request.cookies.get(sessions.cookie):
            with suppress(Problem):  # a session that has ended, or whose token is worth nothing any more, ends nothing
                await _record(audit, Act((await sessions.visitor(session)).caller, "session.ended"))
            await sessions.end(session)
        answer = RedirectResponse(_page_to_go_to(request), 303)
        answer.delete_cookie(sessions.cookie, httponly=True, samesite="strict", secure=https)
        return answer

    return router


def nothing_here(request: Request) -> Response:
    """What somebody sees who mistyped an address."""
    heading, message = _("Nothing here"), _("There is nothing at this address.")
    frame = Frame("/", language_of(request))
    return answered(request, _PAGES.render("problem.html", frame, heading=heading, message=message, seconds=""), 404)


def pages_router(refusal: Callable[[Request, Problem], Response]) -> APIRouter:
    """For pages: what goes wrong behind it is told by ``refusal``, as a page."""

    class Route(APIRoute):
        def __init__(self, path: str, endpoint: Callable[..., Any], **about: Any) -> None:
            methods = set(about.pop("methods", None) or {"GET"})
            # What looks at a link before its reader does, a chat for one, asks for the head alone (RFC 9110, 9.3.2).
            super().__init__(path, endpoint, **about, methods=methods | ({"HEAD"} if "GET" in methods else set()))

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def answer(request: Request) -> Response:
                try:
                    return await handler(request)
                except Problem as problem:
                    return refusal(request, problem)
                except RequestValidationError:
                    return refusal(request, Problem(404, "invalid_query", ""))
                except Exception as error:
                    if not is_transient(error):
                        raise
                    return refusal(request, Problem(503, "unavailable", "", {"Retry-After": "2"}))

            return answer

    return APIRouter(route_class=Route, include_in_schema=False)


async def visitor(request: Request, sessions: Sessions) -> Visitor:
    """Who looks at a page, by the cookie of the form. Raises ``Problem`` 401."""
    session = request.cookies.get(sessions.cookie)
    if not session:
        raise Problem(401, "unauthorised", "Please sign in.")
    return await sessions.visitor(session)


async def reader(request: Request, sessions: Sessions, door: Doorkeeper) -> Caller:
    """Who looks at a page, or asks for what it links to like any program, with a bearer token. Raises ``Problem`` 401."""
    if sessions.cookie in request.cookies:
        return (await visitor(request, sessions)).caller
    return await door.open(request)


async def turned_away(request: Request, sessions: Sessions, door: Doorkeeper) -> Response | None:
    """The form, for whoever may not see the page that they ask for; None for who may."""
    try:
        await reader(request, sessions, door)
    except Problem as problem:
        return sign_in_page(request, sessions, problem)
    return None


def sign_in_page(request: Request, sessions: Sessions, problem: Problem) -> Response:
    """The form that leads to the page that was asked for; it says what is wrong to who was signed in before."""
    query = request.url.query
    to = f"{request.url.path}?{query}" if query and request.method == "GET" else request.url.path
    if sessions.cookie not in request.cookies:
        return _sign_in_page(request, to, None)
    if request.method == "POST" and problem.code == "unauthorised":
        problem = Problem(401, "unauthorised", _NOT_TAKEN)
    return _sign_in_page(request, to, problem)


def language_of(request: Request) -> Language:
    """The language in which this request is answered."""
    return languages.wanted(
        request.query_params.get("lang"),
        request.cookies.get(languages.COOKIE),
        request.headers.get("accept-language", ""),
    )


def html(content: str, status: int = 200, headers: Mapping[str, str] = pages.HEADERS) -> HTMLResponse:
    """A page with the headers that go with every page, or with its own."""
    return HTMLResponse(content, status, headers=headers)


def answered(
    request: Request, content: str, status: int = 200, headers: Mapping[str, str] = pages.HEADERS
) -> HTMLResponse:
    """A page in the reader's language, which is remembered when a link asked for it."""
    answer = html(content, status, headers)
    if (asked := request.query_params.get("lang")) in languages.LANGUAGES:
        answer.set_cookie(languages.COOKIE, str(asked), max_age=365 * 24 * 3600, httponly=True, samesite="lax")
    return answer


async def form(request: Request, limit: int = FORM_LIMIT) -> list[tuple[str, str]]:
    """The fields of a form that was sent, in its order. Raises ``Problem`` 413 or 415 for anything else."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise Problem(415, "content_type", "Use the form on the page.")
    body = await whole(request, limit, Problem(413, "body_too_large", _TOO_LONG))
    try:
        return parse_qsl(body.decode("ascii", errors="replace"), max_num_fields=FIELDS_LIMIT)
    except ValueError:
        raise Problem(413, "body_too_large", _TOO_LONG) from None


async def _record(audit: Audit, act: Act) -> None:
    """Without the database there is nothing to see but the contract's pages, and nobody is kept from those for an outage."""
    try:
        await audit.record_alone(act)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("%s of %s is not in the audit trail: the database is away", act.action, act.caller.postedby)


def _sign_in_page(request: Request, to: str, problem: Problem | None) -> Response:
    query = () if request.method == "POST" else tuple(request.query_params.multi_items())
    path = request.url.path if request.method == "GET" else "/"
    frame = Frame(path, language_of(request), query=query)
    where = to if _OURS.fullmatch(to) else "/"
    message = _BY_CODE.get(problem.code, problem.message) if problem else None
    seconds = problem.headers.get("Retry-After", "") if problem else ""
    content = _PAGES.render("sign_in.html", frame, to=where, message=message, seconds=seconds)
    answer = answered(request, content, problem.status if problem else 401)
    if problem is not None and "Retry-After" in problem.headers:
        answer.headers["Retry-After"] = problem.headers["Retry-After"]
    return answer


def _page_to_go_to(request: Request) -> str:
    wanted = request.query_params.get("to", "/")
    return wanted if _OURS.fullmatch(wanted) else "/"


def _same_site(request: Request) -> None:
    """Another site's page must not sign anybody in or out. Browsers say so; a program that does not is no browser."""
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise Problem(403, "other_site", "Sign in on this service's own page.")
