"""HTTP to handlers and queries."""

from functools import partial
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse

from services.certification import queries
from services.certification.handlers import Handlers
from services.certification.issued import issuing_metrics
from services.certification.queries import CertificateAnswer, EventAnswer, EventHistory, PersonExport
from shared.audit import Act, Audit
from shared.database import Database
from shared.events.certification import STATUSES, SchemeFact
from shared.events.codes import CODE_PATTERN
from shared.http import BUNDLE, EVENTS, Positions, Problem, events_body, metrics_and, receipts_response
from shared.lists import EventStatus, Page, Paged, one_of
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals
from shared.outbox import current_position, heard_positions
from shared.waiting import waiting_metrics

T = TypeVar("T")
# Whatever else could stand in an address is no code, and some of it (a NUL) not even a text for the database.
Filter = Annotated[str | None, Query(pattern=CODE_PATTERN)]
StatusOfOne = Annotated[
    str | None, Query(pattern=CODE_PATTERN, description=f"One of {', '.join(STATUSES)}."), one_of(STATUSES)
]
Named = Annotated[str, Path(pattern=CODE_PATTERN)]


def routes(handlers: Handlers, database: Database, door: Doorkeeper, audit: Audit) -> APIRouter:
    """Every address of certification but its health."""
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
        caller: Annotated[Caller, Depends(door.open)], paging: Paged, status: EventStatus = None
    ) -> Page[EventAnswer]:
        """The office's own events with their standing, in the order of recording."""
        async with database.transaction() as session:
            return await queries.events(session, caller, paging, status)

    @router.get("/v1/events/{country}/{office}/{event}")
    async def event(
        country: Named, office: Named, event: Named, caller: Annotated[Caller, Depends(door.open)]
    ) -> EventHistory:
        """One event of the office with every change of its receipt."""
        async with database.transaction() as session:
            found = await queries.event(session, caller, f"/offices/{country}/{office}", event)
        return _or_404(found)

    @router.get("/v1/schemes", dependencies=[Depends(office)], responses=refusals(403))
    async def schemes(paging: Paged) -> Page[SchemeFact]:
        """The registered schemes."""
        async with database.transaction() as session:
            return await queries.schemes(session, paging)

    @router.get("/v1/certificates", responses=refusals(403))
    async def certificates(
        caller: Annotated[Caller, Depends(office)],
        paging: Paged,
        cohort: Filter = None,
        scheme: Filter = None,
        status: StatusOfOne = None,
        enrolment: Filter = None,
    ) -> Page[CertificateAnswer]:
        """The certificates of the cohorts to which the office is a party."""
        filters = {"cohort": cohort, "scheme": scheme, "status": status, "enrolment": enrolment}
        async with database.transaction() as session:
            return await queries.certificates(session, caller, paging, filters)

    @router.get("/v1/certificates/{certificate}", responses=refusals(403))
    async def certificate(certificate: Named, caller: Annotated[Caller, Depends(office)]) -> CertificateAnswer:
        """One certificate."""
        async with database.transaction() as session:
            return _or_404(await queries.certificate(session, caller, certificate))

    @router.get("/v1/persons/{person}/export", responses=refusals(403))
    async def export(person: Named, caller: Annotated[Caller, Depends(office)]) -> PersonExport:
        """All that certification holds about a person, to give to them; their details are in enrolment's own export."""
        async with database.transaction() as session:
            found = _or_404(await queries.export(session, caller, person))
            await audit.record(session, Act(caller, "details.exported", person))
        return found

    @router.get("/v1/position", dependencies=[Depends(door.open)])
    async def position() -> Positions:
        """How far certification's own stream reaches, and how far it has heard enrolment's."""
        async with database.transaction() as session:
            return Positions(
                position={"CERTIFICATION": await current_position(session)}, heard=await heard_positions(session)
            )

    @router.get("/metrics", dependencies=[Depends(door.scrape)], response_class=PlainTextResponse)
    async def metrics() -> Response:
        """The process's metrics in Prometheus' text format, and how many events wait for what, and for how long."""
        return metrics_and(await waiting_metrics(database, "certification") + await issuing_metrics(database))

    return router


def _or_404(found: T | None) -> T:
    if found is None:
        raise Problem(404, "not_found", "There is nothing here that this office may see.")
    return found
