"""HTTP to handlers and queries."""

import json
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, Field, ValidationError

from services.enrolment import queries
from services.enrolment.admissions import Admissions
from services.enrolment.handlers import Handlers
from services.enrolment.queries import CohortAnswer, EventAnswer, EventHistory, OfficeAnswer
from services.enrolment.registry import Registry
from shared.database import Database
from shared.events.codes import CODE_PATTERN, SOURCE_PATTERN, Code, Role, Source, Text
from shared.events.enrolment import CentreFact, CohortFact, ProgrammeFact, TraineeFact
from shared.events.identity import office_of
from shared.http import EVENTS, Page, Paging, Positions, Problem, events_body, metrics, receipts_response
from shared.offices import Caller, Doorkeeper, require_administrator
from shared.openapi import refusals
from shared.outbox import current_position
from shared.rights import inbox_prefix, office_durable

T = TypeVar("T")
# Whatever else could stand in an address is no code, and some of it (a NUL) not even a text for the database.
Filter = Annotated[str | None, Query(pattern=CODE_PATTERN)]
Named = Annotated[str, Path(pattern=CODE_PATTERN)]
OFFICE_LIMIT = 16_384
"""Bytes in the description of an office."""


class NewOffice(BaseModel):
    """An office to register, or one more officer of it."""

    office: Source
    name: Text
    roles: Annotated[list[Role], Field(min_length=1)]
    officer: Code
    expires_days: Annotated[int, Field(ge=1, le=3650)] = 365


_OFFICE_BODY = {
    "required": True,
    "description": f"At most {OFFICE_LIMIT:,} bytes.",
    "content": {"application/json": {"schema": NewOffice.model_json_schema()}},
}


class ForNats(BaseModel):
    """How the officer reaches the broker, with credentials that are told this once and hold as long as the token."""

    url: str
    credentials: str
    """The text of a NATS credentials file."""
    inbox_prefix: str
    durable: str
    """Of the stream RECEIPTS: what was read stays read, also after an absence."""


class NewToken(BaseModel):
    """An officer's token, told this once, and until when it holds."""

    office: str
    officer: str
    token: str
    expires: datetime
    nats: ForNats


def routes(
    handlers: Handlers,
    registry: Registry,
    admissions: Admissions,
    database: Database,
    door: Doorkeeper,
    nats_url: str,
) -> APIRouter:
    """Every address of enrolment but its health; ``nats_url`` is the one that offices are told."""
    router = APIRouter()

    async def office(caller: Annotated[Caller, Depends(door.open)]) -> Caller:
        if caller.only_reads():
            raise Problem(403, "role_not_allowed", "A reader sees figures: ask reporting for /v1/aggregates.")
        return caller

    async def administrator(caller: Annotated[Caller, Depends(door.open)]) -> Caller:
        require_administrator(caller)
        return caller

    @router.post("/v1/events", **EVENTS)
    async def post_events(request: Request, caller: Annotated[Caller, Depends(door.open)]) -> Response:
        """Take events: one, a batch or NDJSON. Answers after the commit with one receipt per event; safe to send again."""
        return receipts_response(await handlers.take(await events_body(request), caller))

    @router.get("/v1/events")
    async def events(
        caller: Annotated[Caller, Depends(door.open)],
        paging: Annotated[Paging, Depends()],
        source: Annotated[str | None, Query(pattern=SOURCE_PATTERN)] = None,
        id: Filter = None,  # noqa: A002 - the name that users know
        status: Filter = None,
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
    async def programmes(paging: Annotated[Paging, Depends()]) -> Page[ProgrammeFact]:
        """The registered programmes."""
        async with database.transaction() as session:
            return await queries.programmes(session, paging)

    @router.get("/v1/centres", dependencies=[Depends(office)], responses=refusals(403))
    async def centres(paging: Annotated[Paging, Depends()]) -> Page[CentreFact]:
        """The registered centres."""
        async with database.transaction() as session:
            return await queries.centres(session, paging)

    @router.get("/v1/cohorts", responses=refusals(403))
    async def cohorts(
        caller: Annotated[Caller, Depends(office)], paging: Annotated[Paging, Depends()]
    ) -> Page[CohortFact]:
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

    @router.post(
        "/v1/offices",
        status_code=201,
        responses=refusals(400, 403, 413),
        openapi_extra={"requestBody": _OFFICE_BODY},
    )
    async def register_office(request: Request, caller: Annotated[Caller, Depends(administrator)]) -> NewToken:
        """Register an office or one more officer of it. Token and credentials in the answer are never told again."""
        new = await _new_office(request)
        given = await registry.register(new.office, new.name, new.roles, new.officer, new.expires_days, by=caller)
        admissions.wake()
        durable = office_durable(*office_of(new.office))
        for_nats = ForNats(
            url=nats_url,
            credentials=given.nats_credentials,
            inbox_prefix=inbox_prefix(durable),
            durable=durable,
        )
        return NewToken(office=new.office, officer=new.officer, token=given.token, expires=given.expires, nats=for_nats)

    @router.get("/v1/offices", dependencies=[Depends(administrator)], responses=refusals(403))
    async def offices(paging: Annotated[Paging, Depends()]) -> Page[OfficeAnswer]:
        """All offices, their roles and officers."""
        async with database.transaction() as session:
            return await queries.offices(session, paging)

    @router.delete(
        "/v1/offices/{country}/{office}",
        status_code=204,
        responses=refusals(403),
    )
    async def revoke_office(country: Named, office: Named, caller: Annotated[Caller, Depends(administrator)]) -> None:
        """Take every token and NATS user from an office."""
        if not await registry.revoke(f"/offices/{country}/{office}", by=caller):
            raise Problem(404, "not_found", "There is no such office.")
        admissions.wake()

    router.add_api_route("/metrics", metrics, dependencies=[Depends(door.open)], response_class=PlainTextResponse)
    return router


async def _new_office(request: Request) -> NewOffice:
    """The body by our own rules: FastAPI's answers would differ from ours in form."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > OFFICE_LIMIT:
            raise Problem(413, "body_too_large", f"The body is larger than {OFFICE_LIMIT} bytes.")
    try:
        return NewOffice.model_validate(json.loads(bytes(body)))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        raise Problem(400, "invalid_office", f"{where}: {first['msg']}.") from None
    except (ValueError, RecursionError):
        raise Problem(400, "invalid_json", "The body is not JSON.") from None


def _or_404(found: T | None) -> T:
    if found is None:
        raise Problem(404, "not_found", "There is nothing here that this office may see.")
    return found
