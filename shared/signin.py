"""Signing in to the pages: a browser sends no bearer token, so a form takes it and a cookie brings it.

Programs never need it; only pages, and what they link to, look at the cookie.
"""

import logging
from contextlib import suppress
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from shared import pages
from shared.audit import Act, Audit
from shared.database import is_transient
from shared.http import Problem
from shared.offices import COOKIE, Caller, Doorkeeper, remote_of

log = logging.getLogger(__name__)

FORM_LIMIT = 4096
"""Bytes of a sign-in form: a token and nothing else."""
PAGES = ("/", "/docs", "/asyncapi")
"""Where a form may lead to; an address of somebody else's making leads to the first."""


def routes(door: Doorkeeper, audit: Audit, *, https: bool) -> APIRouter:
    """Where the forms of the pages lead. With ``https`` the cookie never travels in the clear."""
    router = APIRouter(include_in_schema=False)

    @router.post("/session")
    async def sign_in(request: Request) -> Response:
        _same_site(request)
        token = await _token_of_form(request)
        try:
            caller = await door.caller(token, remote_of(request))
        except Problem as problem:
            return html(pages.sign_in(_page_to_go_to(request), problem.message), problem.status)
        await _record(audit, Act(caller, "session.started"))
        answer = RedirectResponse(_page_to_go_to(request), 303)
        # Without an age: it ends with the browser, since a centre's computer is shared.
        answer.set_cookie(COOKIE, token, httponly=True, samesite="strict", secure=https)
        return answer

    @router.post("/session/end")
    async def sign_out(request: Request) -> Response:
        _same_site(request)
        if token := request.cookies.get(COOKIE):
            with suppress(Problem):  # a token that is worth nothing any more ends nothing
                await _record(audit, Act(await door.caller(token), "session.ended"))
        answer = RedirectResponse(_page_to_go_to(request), 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=https)
        return answer

    return router


async def reader(request: Request, door: Doorkeeper) -> Caller:
    """Who looks at a page: by the cookie of the form, or by a bearer token like any program. Raises ``Problem`` 401."""
    token = request.cookies.get(COOKIE)
    return await door.caller(token, remote_of(request)) if token else await door.open(request)


async def turned_away(request: Request, door: Doorkeeper) -> Response | None:
    """The form, for whoever may not see the page that they ask for; None for who may."""
    try:
        await reader(request, door)
    except Problem as problem:
        signed_in_before = COOKIE in request.cookies
        form = pages.sign_in(request.url.path, problem.message if signed_in_before else None)
        return html(form, problem.status)
    return None


def html(content: str, status: int = 200) -> HTMLResponse:
    """A page with the headers that go with every page."""
    return HTMLResponse(content, status, headers=pages.HEADERS)


async def _record(audit: Audit, act: Act) -> None:
    """Without the database there is nothing to see but the contract's pages, and nobody is kept from those for an outage."""
    try:
        await audit.record_alone(act)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("%s of %s is not in the audit trail: the database is away", act.action, act.caller.postedby)


def _page_to_go_to(request: Request) -> str:
    wanted = request.query_params.get("to", PAGES[0])
    return wanted if wanted in PAGES else PAGES[0]


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
