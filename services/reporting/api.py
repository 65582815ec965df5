"""Reporting's HTTP: what is asked becomes a query, what is found becomes an answer."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from services.reporting import explain_api, exporting, queries, questions
from services.reporting import rebuild as rebuilding
from services.reporting.domain import DIMENSIONS, EXCEPTIONS, MEASURES
from services.reporting.explain_api import COUNTED_AT_ONCE, PARAMETERS, Turns
from services.reporting.formats import NotInThisFormat
from services.reporting.measures import Measure
from services.reporting.queries import Aggregates
from services.reporting.questions import Question, UnknownQuestion
from services.reporting.rates import RATES
from services.reporting.rebuild import Look, NotWhole, Rebuild, UnderWay
from shared import signin
from shared.audit import Act, Audit
from shared.bus import BrokerAway
from shared.database import Database
from shared.http import Positions, Problem, holds, metrics
from shared.lists import known_parameters
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.sessions import Sessions
from shared.upkeep import broker_away


class MeasureLine(BaseModel):
    counts: str
    dimensions: list[str]


class Measures(BaseModel):
    """What can be asked: each measure with the dimensions that apply to it; what rates leave out, a measure as well; each rate
    and each dimension with its meaning."""

    measures: dict[str, MeasureLine]
    dimensions: dict[str, str]
    exceptions: dict[str, MeasureLine] = {}
    rates: dict[str, str] = {}


def routes(
    database: Database,
    door: Doorkeeper,
    sessions: Sessions,
    audit: Audit,
    look: Look,
    *,
    https: bool,
    explaining: Turns,
    key: bytes,
    outlets: exporting.Outlets = exporting.NONE,
) -> APIRouter:
    """Every address of reporting but its health; `look` is at a stream, `explaining` and `key` are those of explanations, and
    `outlets` are where its figures go."""
    router = APIRouter()
    asked = Annotated[Caller, Depends(door.open)]
    Administrator = Annotated[Caller, Depends(door.administrator)]  # noqa: N806 - a type
    turns = Turns(COUNTED_AT_ONCE)
    router.add_api_route("/metrics", metrics, dependencies=[Depends(door.scrape)], response_class=PlainTextResponse)

    @router.get(
        "/v1/aggregates",
        response_model=Aggregates,
        responses={
            200: {"content": exporting.CONTENT},
            304: {"description": "What If-None-Match names is still true."},
        },
        openapi_extra={"parameters": [*PARAMETERS, *exporting.PARAMETERS]},
    )
    async def aggregates(request: Request, caller: asked) -> Response:
        """Counts of any measures, by any dimensions, and the position in both streams up to which they are true."""
        form, question = _asked(request, caller, outlets)
        counted_anew = "people" in question.measures and not question.keeps_people
        long = counted_anew or form.name != "json"
        async with turns.one() if long else nullcontext(), database.snapshot() as session:
            position, version = await queries.positions_and_version(session)
            tag = form.tag(queries.tag(question, position, version))
            headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Accept"}
            if holds(request, tag):
                return Response(status_code=304, headers=headers)
            answer = await _answered(session, question, position)
            body = await _written(session, question, answer, form)
        return Response(body, media_type=form.media_type, headers=headers | form.headers)

    @router.get("/v1/position")
    async def position(_: asked) -> Positions:
        """How far both streams are applied."""
        async with database.transaction() as session:
            heard = await queries.positions(session)
        return Positions(position=heard, heard=heard)

    @router.get("/v1/measures", dependencies=[Depends(door.open), Depends(known_parameters)], responses=refusals(400))
    async def measures() -> Measures:
        """Which measures and dimensions there are, and which of them go together."""
        return Measures(
            measures=_lines(MEASURES),
            exceptions=_lines(EXCEPTIONS),
            rates={name: rate.says for name, rate in RATES.items()},
            dimensions=dict(DIMENSIONS),
        )

    @router.post("/v1/rebuild", status_code=202, responses=refusals(403, 409))
    async def rebuild(caller: Administrator) -> Rebuild:
        """Have rows and cube made anew from the streams, in the background: GET tells how far it has come.

        Figures are answered and kept up meanwhile. What turns out to be otherwise is put right at the end, as a change of its
        own; what was known earlier stays as it was. 409 while one is under way, and when a stream no longer holds all of it.
        """
        try:
            return await database.run(lambda session: _recorded(session, look, audit, caller))
        except NotWhole as lost:
            raise Problem(409, "stream_not_whole", str(lost)) from None
        except BrokerAway:
            raise broker_away() from None
        except UnderWay:
            raise Problem(409, "under_way", "A rebuild is under way: GET tells how far it is.") from None

    @router.get("/v1/rebuild", responses=refusals(403))
    async def rebuilt(_: Administrator) -> Rebuild:
        """The cube's fingerprint by now, the position at which it is so, and how the last rebuild stands."""
        async with database.snapshot() as session:
            return await rebuilding.state(session)

    router.include_router(explain_api.routes(database, door, explaining, key))
    router.include_router(signin.routes(sessions, audit, https=https))
    return router


async def _answered(session: AsyncSession, question: Question, position: dict[str, int]) -> Aggregates:
    try:
        return await queries.aggregates(session, question, position)
    except UnknownQuestion as unknown:
        raise Problem(400, unknown.code, unknown.message) from None


def _lines(measures: Mapping[str, Measure]) -> dict[str, MeasureLine]:
    return {
        name: MeasureLine(counts=measure.counts, dimensions=list(measure.dimensions))
        for name, measure in measures.items()
    }


def _asked(request: Request, caller: Caller, outlets: exporting.Outlets) -> tuple[exporting.Form, Question]:
    """What is asked, in which form. Raises Problem."""
    try:
        form, left = exporting.read(request.query_params.multi_items(), request.headers.get("accept", ""), outlets)
        question = replace(questions.read_question(left), own=explain_api.own_of(caller))
        return form, exporting.fitting(question, form)
    except (UnknownQuestion, NotInThisFormat) as unknown:
        raise Problem(400, unknown.code, unknown.message) from None


async def _written(session: AsyncSession, question: Question, answer: Aggregates, form: exporting.Form) -> bytes:
    try:
        return await exporting.write(session, question, answer, form)
    except NotInThisFormat as unfit:
        raise Problem(400, unfit.code, unfit.message) from None


async def _recorded(session: AsyncSession, look: Look, audit: Audit, caller: Caller) -> Rebuild:
    rebuilt = await rebuilding.rebuild(session, look)
    await audit.record(session, Act(caller, "reporting.rebuilt"))
    return rebuilt
