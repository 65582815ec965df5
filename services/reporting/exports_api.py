"""The addresses for fitting in: what codes and indicators mean, and DHIS2 by somebody's own mapping."""

from dataclasses import replace
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from services.reporting import codes, exporting, queries, questions
from services.reporting.domain import MEASURES
from services.reporting.explain_api import Turns, own_of
from services.reporting.exporting import Form, Outlets
from services.reporting.formats import FORMATS, NotInThisFormat
from services.reporting.formats.dhis2 import Ids
from services.reporting.indicators import INDICATORS, Framework, question
from services.reporting.questions import UnknownQuestion
from shared.database import Database
from shared.http import Problem
from shared.lists import known_parameters
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals


class Asked(BaseModel):
    """One indicator: in whose terms, what it is, of what it is a rate, and the address that answers it."""

    indicator: str
    title: str
    definition: str
    frameworks: list[Framework]
    kind: Literal["count", "rate"]
    measure: str
    of: str | None
    counts: str
    contributes_to: str | None
    answered_by: str
    rate: str | None = None


SENT_AT_ONCE = 2
"""Answers for DHIS2."""

_LIKE_AGGREGATES = [
    {"name": name, "in": "query", "required": name in ("from", "to"), "schema": {"type": "string"}}
    for name in questions.PARAMETERS
    if name not in ("measure", "by")
]
"""The mapping says which measures, by what."""

_INDICATORS = [
    Asked(
        indicator=code,
        title=one.title,
        definition=one.definition,
        frameworks=list(one.frameworks),
        kind=one.kind,
        measure=one.measure,
        of=one.of,
        rate=one.rate,
        counts=MEASURES[one.measure].counts,
        contributes_to=one.contributes_to,
        answered_by=f"/v1/aggregates?{urlencode(question(one), safe=',')}",
    )
    for code, one in INDICATORS.items()
]


def routes(database: Database, door: Doorkeeper) -> APIRouter:
    """All of them are for whoever has a token."""
    router = APIRouter()
    turns = Turns(SENT_AT_ONCE)
    asked = Annotated[Caller, Depends(door.open)]

    a_list: dict[str, Any] = {
        "dependencies": [Depends(door.open), Depends(known_parameters)],
        "responses": refusals(400),
    }

    @router.get("/v1/codes", **a_list)
    async def meanings() -> codes.Codes:
        """What the codes in answers mean, in five languages."""
        async with database.transaction() as session:
            return await codes.codes(session)

    @router.get("/v1/indicators", **a_list)
    async def indicators() -> list[Asked]:
        """The measures in the ILO's and donors' terms, and what contributes to the Sustainable Development Goals."""
        return _INDICATORS

    @router.post(
        "/v1/dhis2",
        responses={200: {"content": {FORMATS["dhis2"]: {"schema": {"type": "object"}}}}},
        openapi_extra={"parameters": _LIKE_AGGREGATES},
    )
    async def dhis2(request: Request, ids: Ids, caller: asked) -> Response:
        """The aggregates as DHIS2's dataValueSets, by the mapping in the body; from and to are needed."""
        form = Form("dhis2", outlets=Outlets(ids))
        try:
            asked_for = questions.read_question(request.query_params.multi_items())
            question = exporting.fitting(replace(asked_for, own=own_of(caller)), form)
            async with turns.one(), database.snapshot() as session:
                answer = await queries.aggregates(session, question, await queries.positions(session))
                body = await exporting.write(session, question, answer, form)
        except (UnknownQuestion, NotInThisFormat) as unfit:
            raise Problem(400, unfit.code, unfit.message) from None
        return Response(body, media_type=form.media_type)

    return router
