"""The pages at /said: what an office said, how it stands, and how it is withdrawn."""

from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import RedirectResponse

from shared.desk import forms
from shared.desk.entries import country_of, entry, envelope, new_id
from shared.desk.frame import Desk, Visit
from shared.desk.house import House
from shared.desk.wording import WRONG
from shared.events.codes import CODE_PATTERN
from shared.events.wire import Raw
from shared.pages.languages import zone_of

Named = Annotated[str, Path(pattern=CODE_PATTERN)]
PAGE = 50
"""Entries on one page."""


def routes(desk: Desk, house: House) -> APIRouter:
    """An office's entries, the newest first, and one by one."""
    router = desk.router()

    @router.get("/said")
    async def said(
        request: Request,
        status: Annotated[str | None, Query(pattern="^(accepted|waiting|conflict)$")] = None,
        before: Annotated[int | None, Query(ge=0, le=10**18)] = None,
    ) -> Response:
        visit = await desk.visit(request)
        async with house.database.transaction() as session:
            found = await house.overview.entries(session, visit.caller, status=status, before=before, limit=PAGE + 1)
        may_say = house.may_say(visit.caller)
        entries = [entry(one.answered, house.codes, may_say) for one in found[:PAGE]]
        older = found[PAGE - 1].place if len(found) > PAGE else None
        return desk.page(
            request, visit, "said.html", entries=entries, wanted=status, older=older, now=datetime.now(UTC)
        )

    @router.get("/said/{country}/{office}/{event}")
    async def one(request: Request, country: Named, office: Named, event: Named) -> Response:
        visit = await desk.visit(request)
        return await _entry(request, visit, f"/offices/{country}/{office}", event)

    @router.post("/said/{country}/{office}/{event}/withdraw")
    async def withdraw(request: Request, country: Named, office: Named, event: Named) -> Response:
        visit, typed = await desk.sent(request)
        source = f"/offices/{country}/{office}"
        found = await house.found(visit, source, event)
        data = {"event": event, "type": found.type, "reason": typed.get("reason", "")}
        filled = forms.read(house.types["event.voided.v1"], data)
        if filled.wrong:
            return await _entry(request, visit, source, event, filled.wrong.get("reason", WRONG["other"]))
        at = datetime.now(zone_of(country))
        void = envelope("event.voided.v1", source, typed.get("id") or new_id(), filled.data, at)
        (receipt,) = (await house.take([Raw(1, void)], visit.caller)).receipts
        if receipt.status == "rejected":
            return await _entry(request, visit, source, event, house.codes.get(receipt.code, WRONG["other"]))
        return RedirectResponse(f"/said/{country}/{office}/{event}", 303)

    async def _entry(request: Request, visit: Visit, source: str, event: str, wrong: str | None = None) -> Response:
        found = await house.found(visit, source, event)
        may_say = house.may_say(visit.caller)
        now = entry(found, house.codes, may_say)
        history = [
            replace(now, sentence=house.codes.get(was.code, was.sentence), status=was.status, since=was.recordedtime)
            for was in found.receipts
        ]
        return desk.page(
            request,
            visit,
            "entry.html",
            422 if wrong else 200,
            entry=now,
            history=history,
            model=house.types.get(found.type),
            ways=await house.leads_to(visit, now),
            new_id=new_id(),
            wrong=wrong,
            zone=place_of(visit, source),
        )

    return router


def place_of(visit: Visit, source: str) -> tzinfo:
    """The time of day of an entry's office: the visitor's own, or for an administrator the office's."""
    return zone_of(country_of(source)) if visit.caller.administrator else visit.zone
