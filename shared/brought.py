"""Rosters that an office signed while it had no connection, brought by somebody else: taken as the office's own.

A courier may bring one at any time and again, so what the office has said since it was signed stands.
"""

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Request, Response

from shared.audit import Act, Audit
from shared.bodies import allow_body, whole
from shared.bundles import ROSTER_LINE_LIMIT, Refused, Roster, opened_roster
from shared.events.receipts import REFUSALS
from shared.http import Problem
from shared.offices import Caller
from shared.openapi import refusals
from shared.rosterdesk import Asked, Desk
from shared.rosters.answers import RosterAnswer
from shared.rosters.books import kinds_named, open_book
from shared.rosters.cells import OFFERS
from shared.rosters.refusing import BookRefused
from shared.uploads import ANSWERS, FileRefused, answered

STATUSES: Final = {"bundle_unreadable": 400, "signature_wrong": 400, "signer_unknown": 403}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "One line of a bundle that holds a roster, as `sampan post FILE.xlsx --offline BUNDLE` writes it.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


def routes(desk: Desk, audit: Audit) -> APIRouter:
    """Where a courier brings a roster."""
    router = APIRouter()

    @router.post(
        "/v1/bundles/rosters",
        responses={**ANSWERS, **refusals(400, 403, 413)},
        response_model=RosterAnswer,
        openapi_extra={"requestBody": _BODY},
    )
    async def bring_roster(request: Request, courier: Annotated[Caller, Depends(desk.door.open)]) -> Response:
        """Take a roster that an office signed, from whoever brings it. Answers as /v1/rosters does; safe to send again."""
        line = await _line(request)
        desk.door.spend(courier, size=len(line))
        signer, roster = await _opened(desk, line)
        book = await _book(roster)
        accepted = frozenset(roster.accept) & OFFERS.keys()
        asked = Asked(signer.source or "", signer, accepted, tuple(kinds_named(roster.sheets)), signed=roster.signed)
        await audit.record_alone(Act(courier, "bundle.brought"))
        return await answered(request, desk, book, asked)

    return router


async def _line(request: Request) -> bytes:
    allow_body(request, ROSTER_LINE_LIMIT + (1 << 20))  # refused below
    refusal = Problem(413, "file_too_large", "The line is longer than that of any roster. Nothing was taken.")
    return await whole(request, ROSTER_LINE_LIMIT, refusal)


async def _opened(desk: Desk, line: bytes) -> tuple[Caller, Roster]:
    try:
        key, roster = await asyncio.to_thread(opened_roster, line)
    except Refused as refused:
        raise _refusal(refused.code) from None
    async with desk.database.transaction() as session:
        signer = (await desk.signers(session, {key})).get(key)
    if signer is None:
        raise _refusal("signer_unknown")
    return signer, roster


def _refusal(code: str) -> Problem:
    return Problem(STATUSES[code], code, f"{REFUSALS[code]} Nothing was taken.")


async def _book(roster: Roster) -> Any:
    try:
        sheets = kinds_named(roster.sheets)
        kind = sheets[0] if len(sheets) == 1 else None
        return await asyncio.to_thread(open_book, roster.content, name=roster.name, kind=kind, encoding=roster.encoding)
    except BookRefused as refused:
        raise FileRefused(refused) from None
