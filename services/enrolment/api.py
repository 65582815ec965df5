"""HTTP to handlers and queries."""

from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse

from services.enrolment import queries
from services.enrolment.handlers import Handlers
from services.enrolment.queries import CohortAnswer, EventAnswer, EventHistory
from shared.database import Database
from shared.events.codes import CODE_PATTERN, SOURCE_PATTERN
from shared.events.enrolment import CentreFact, CohortFact, ProgrammeFact, TraineeFact
from shared.http import BUNDLE, EVENTS, Positions, Problem, events_body, metrics_and, receipts_response
from shared.lists import EventStatus, Page, Paged
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.outbox import current_position
from shared.waiting import waiting_metrics

T = TypeVar("T")
# Whatever else could stand in an address is no code, and some of it (a NUL) not even a text for the database.
Filter = Annotated[str | None, Query(pattern=CODE_PATTERN)]
Named = Annotated[str, Path(pattern=CODE_PATTERN)]


def routes(handlers: Handlers, database: Database, door: Doorkeeper) -> APIRouter:
    """Every address of enrolment but its health, the administrator's and those of offices."""
    router = APIRouter()

    async def office(caller: Annotated[Caller, Depends(door.open)]) -> Caller:
        if caller.only_reads():
            raise Problem(403, "role_not_allowed", "A reader sees figures: ask reporting for /v1/aggregates.")
        return caller

    @router.post("/v1/events", **EVENTS)
    async def post_events(request: Request, caller: Annotated[Caller, Depends(door.open)]) -> Response:
        """Take events: one, a batch or NDJSON. Answers after the commit with one receipt per event; safe to send again."""
        raws = await events_body(request, partial(handlers.refused, caller))
        door.spend(caller, events=len(raws), size=request.state.size)
        return receipts_response(await handlers.take(raws, caller))

    @router.post("/v1/bundles", **BUNDLE)
    async def post_bundle(request: Request, caller: Annotated[Caller, Depends(door.open)]) -> Response:
        """Take a bundle of events that offices signed, from whoever brings it: each counts as its office's."""
        raws = await events_body(request, partial(handlers.refused, caller))
        door.spend(caller, events=len(raws), size=request.state.size)
        return receipts_response(await handlers.take_bundle(raws, caller))

    @router.get("/v1/events")
    async def events(
        caller: Annotated[Caller, Depends(door.open)],
        paging: Paged,
        source: Annotated[str | None, Query(pattern=SOURCE_PATTERN)] = None,
        id: Filter = None,  # noqa: A002 - the name that users know
        status: EventStatus = None,
        cohort: Filter = None,
    ) -> Page[EventAnswer]:
        """The office's own events with their standing, in the order of recording."""
        async with database.transaction() as session:
            return await queries.events(session, caller, paging, source=source, id_=id, status=status, cohort=cohort)

    @router.get("/v1/events/{country}/{office}/{event}")
    async def event(
        country: Named, office: Named, event: Named, caller: Annotated[Caller, Depends(door.open)]
    ) -> EventHistory:
        """One event of the office with every change of its receipt."""
        async with database.transaction() as session:
            return _or_404(await queries.event(session, caller, f"/offices/{country}/{office}", event))

    @router.get("/v1/programmes", dependencies=[Depends(office)], responses=refusals(403))
    async def programmes(paging: Paged) -> Page[ProgrammeFact]:
        """The registered programmes."""
        async with database.transaction() as session:
            return await queries.programmes(session, paging)

    @router.get("/v1/centres", dependencies=[Depends(office)], responses=refusals(403))
    async def centres(paging: Paged) -> Page[CentreFact]:
        """The registered centres."""
        async with database.transaction() as session:
            return await queries.centres(session, paging)

    @router.get("/v1/cohorts", responses=refusals(403))
    async def cohorts(caller: Annotated[Caller, Depends(office)], paging: Paged) -> Page[CohortFact]:
        """The cohorts to which the office is a party."""
        async with database.transaction() as session:
            return await queries.cohorts(session, caller, paging)

    @router.get("/v1/cohorts/{cohort}", responses=refusals(403))
    async def cohort(cohort: Named, caller: Annotated[Caller, Depends(office)]) -> CohortAnswer:
        """One cohort with its sessions, and its enrolments as far as the office may see them."""
        async with database.transaction() as session:
            return _or_404(await queries.cohort(session, caller, cohort))

    @router.get("/v1/enrolments/{enrolment}", responses=refusals(403))
    async def enrolment(enrolment: Named, caller: Annotated[Caller, Depends(office)]) -> TraineeFact:
        """One enrolment, without any name."""
        async with database.transaction() as session:
            return _or_404(await queries.enrolment(session, caller, enrolment))

    @router.get("/v1/position", dependencies=[Depends(door.open)])
    async def position() -> Positions:
        """How far enrolment's own stream reaches."""
        async with database.transaction() as session:
            return Positions(position={"ENROLMENT": await current_position(session)}, heard={})

    @router.get("/metrics", dependencies=[Depends(door.scrape)], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """The process's metrics in Prometheus' text format, and how many events wait for what, and for how long."""
        return metrics_and(await waiting_metrics(database, "enrolment"))

    return router


def _or_404(found: T | None) -> T:
    if found is None:
        raise Problem(404, "not_found", "There is nothing here that this office may see.")
    return found
