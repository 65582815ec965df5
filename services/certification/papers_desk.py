"""On the desk: a link for the holder, shown once, with a code that their phone reads from the officer's screen."""

from io import BytesIO
from typing import Annotated

import segno
from fastapi import APIRouter, Path, Request, Response

from services.certification.links import Links
from shared.desk.frame import Desk
from shared.events.codes import CODE_PATTERN

Named = Annotated[str, Path(pattern=CODE_PATTERN)]


def routes(desk: Desk, links: Links) -> APIRouter:
    """What the forms on a certificate's page lead to."""
    router = desk.router()

    @router.post("/certificates/{certificate}/links")
    async def make(request: Request, certificate: Named) -> Response:
        visit, _ = await desk.sent(request)
        made = await links.make(visit.caller, certificate)
        answer = desk.page(request, visit, "link.html", certificate=certificate, made=made, code=_code(made.address))
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @router.post("/certificates/{certificate}/links/end")
    async def end(request: Request, certificate: Named) -> Response:
        visit, _ = await desk.sent(request)
        ended = await links.end(visit.caller, certificate)
        return desk.page(request, visit, "link.html", certificate=certificate, made=None, ended=ended)

    return router


def _code(address: str) -> str:
    drawn = BytesIO()
    # Dark on white also where the page is dark: phones read no other.
    segno.make(address, error="m", micro=False).save(
        drawn, kind="svg", scale=5, border=4, dark="#000", light="#fff", xmldecl=False, svgns=False
    )
    return drawn.getvalue().decode()
