"""Enrolment's desk: programmes, cohorts and their trainees as an officer reads them."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast

from fastapi import APIRouter, Query, Request, Response
from fastapi import Path as InPath

from services.enrolment import overview, people_pages, queries
from services.enrolment.handlers import Handlers
from services.enrolment.people import sees_names
from services.enrolment.register import Register
from services.enrolment.rules import GUARDS
from services.enrolment.wording import CODES
from shared.audit import Audit
from shared.database import Database
from shared.desk import routes as desk_routes
from shared.desk.frame import Desk
from shared.desk.house import House, Overview
from shared.desk.leaves import LINES, From, leaf
from shared.desk.rosters import Rosters
from shared.events.codes import CODE_PATTERN
from shared.events.offices_to_enrolment import TYPES
from shared.http import Problem
from shared.lists import Paging
from shared.offices import Caller
from shared.pages.languages import noted as _
from shared.pages.rendering import Link
from shared.sessions import Sessions

TEMPLATES: Final = Path(__file__).parent / "templates"
LINKS: Final = (
    Link("/", _("My desk")),
    Link("/record", _("Record")),
    Link("/rosters", _("Rosters")),
    Link("/said", _("What we said")),
    Link("/programmes", _("Programmes")),
    Link("/guide", _("Guide")),
)
OF_A_COHORT: Final = (
    "trainee.proposed.v1",
    "trainee.enrolled.v1",
    "session.held.v1",
    "cohort.started.v1",
    "cohort.closed.v1",
    "cohort.changed.v1",
    "cohort.cancelled.v1",
)
OF_A_TRAINEE: Final = (
    "trainee.enrolled.v1",
    "trainee.declined.v1",
    "trainee.completed.v1",
    "trainee.withdrawn.v1",
    "person.corrected.v1",
    "consent.withdrawn.v1",
    "competitor.nominated.v1",
    "competitor.placed.v1",
    "outcome.reported.v1",
    "person.forgotten.v1",
)
Named = Annotated[str, InPath(pattern=CODE_PATTERN)]
_ALL = Paging(limit=1000)
COHORTS: Final = 20
"""The last that started, where others stand beside them; all of them are on a page of their own."""
SESSIONS: Final = 20
"""The last ones, on the page of the cohort; all of them are on a page of their own."""


def routes(
    handlers: Handlers,
    database: Database,
    register: Register,
    audit: Audit,
    sessions: Sessions,
    rosters: Rosters,
    addresses: Mapping[str, str],
) -> APIRouter:
    """Every page of enrolment; ``addresses`` are those of the other services, for links."""
    desk = Desk(
        sessions,
        TEMPLATES,
        LINKS,
        (Link(addresses["certification"], _("Certificates")), Link(addresses["reporting"], _("Reports"))),
    )
    house = House(database, TYPES, may_say, CODES, handlers.take, queries.event, cast(Overview, overview))
    router = desk.router()
    router.include_router(people_pages.routes(desk, database, register, audit, may_say))

    @router.get("/")
    async def home(request: Request) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            open_ = await house.open_entries(session, visit.caller)
            cohorts = await overview.cohorts(session, visit.caller)
        return desk.page(
            request,
            visit,
            "home.html",
            open=open_,
            cohorts=cohorts,
            shown=COHORTS,
            names_shown=sees_names(visit.caller),
            now=datetime.now(UTC),
        )

    @router.get("/programmes")
    async def programmes(request: Request) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = (await queries.programmes(session, _ALL)).items
            centres = (await queries.centres(session, _ALL)).items
            cohorts = await overview.cohorts(session, visit.caller)
        return desk.page(
            request, visit, "programmes.html", programmes=found, centres=centres, cohorts=cohorts, shown=COHORTS
        )

    @router.get("/cohorts")
    async def every_cohort(
        request: Request, after: Annotated[str, Query(pattern=f"{CODE_PATTERN}|^$")] = ""
    ) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = await queries.cohorts(session, visit.caller, Paging(limit=LINES, after=after or None))
        then = found.items[-1].cohort if found.next else None
        return desk.page(request, visit, "all_cohorts.html", cohorts=found.items, after=after, then=then)

    @router.get("/cohorts/{cohort}")
    async def cohort(request: Request, cohort: Named, begins: From = "") -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = await queries.cohort(session, visit.caller, cohort)
            if found is None:
                raise Problem(404, "not_found", "")
            places = leaf(found.enrolments, lambda place: place.number, begins)
            facts = await queries.trainees(session, [place.enrolment for place in places.lines])
        return desk.page(
            request,
            visit,
            "cohort.html",
            cohort=found.cohort,
            counts=found.counts,
            leaf=places,
            trainees=overview.attendance(found.cohort, facts),
            latest=sorted(found.cohort.sessions, key=lambda one: one.session)[-SESSIONS:],
            names_shown=sees_names(visit.caller),
            kinds=[type_ for type_ in OF_A_COHORT if type_ in may_say(visit.caller)],
            certificates=f"{addresses['certification']}/cohorts/{cohort}",
        )

    @router.get("/cohorts/{cohort}/sessions")
    async def sessions_held(
        request: Request, cohort: Named, begins: Annotated[int, Query(alias="from", ge=0)] = 0
    ) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = await queries.cohort(session, visit.caller, cohort)
        if found is None:
            raise Problem(404, "not_found", "")
        held = leaf(found.cohort.sessions, lambda one: one.session, begins)
        return desk.page(request, visit, "sessions.html", cohort=found.cohort, held=held)

    @router.get("/people/{enrolment}")
    async def person(request: Request, enrolment: Named) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = await queries.enrolment(session, visit.caller, enrolment)
            within = await queries.cohort(session, visit.caller, found.cohort) if found is not None else None
        if found is None or within is None:
            raise Problem(404, "not_found", "")
        ((_trainee, attendance),) = overview.attendance(within.cohort, [found])
        return desk.page(
            request,
            visit,
            "person.html",
            trainee=found,
            cohort=within.cohort,
            attendance=attendance,
            details_shown=await people_pages.details_shown(database, visit.caller, enrolment),
            kinds=[type_ for type_ in OF_A_TRAINEE if type_ in may_say(visit.caller)],
            certificates=f"{addresses['certification']}/cohorts/{found.cohort}",
        )

    router.include_router(desk_routes.routes(desk, house, rosters))
    return router


def may_say(caller: Caller) -> frozenset[str]:
    """The types that an office in these roles may say; an administrator, all."""
    return frozenset(type_ for type_, rule in GUARDS.items() if caller.administrator or caller.roles & rule.roles)
