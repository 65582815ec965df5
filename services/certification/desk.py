"""Certification's desk: marks, certificates and schemes as an officer reads them."""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath

from services.certification import overview, papers_desk, queries, recognitions
from services.certification.handlers import Handlers
from services.certification.links import Links
from services.certification.rules import ROLES
from services.certification.wording import CODES
from shared.database import Database
from shared.desk import routes as desk_routes
from shared.desk.frame import Desk
from shared.desk.house import House, Overview
from shared.desk.leaves import From, leaf
from shared.desk.rosters import Rosters
from shared.desk.saying import day_of
from shared.events.codes import CODE_PATTERN
from shared.events.offices_to_certification import TYPES
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
    Link("/schemes", _("Schemes")),
    Link("/recognitions", _("Recognition")),
    Link("/guide", _("Guide")),
)
ON_A_CERTIFICATE: Final = (
    "trainee.assessed.v1",
    "certificate.awarded.v1",
    "certificate.numbered.v1",
    "certificate.replaced.v1",
    "certificate.suspended.v1",
    "certificate.reinstated.v1",
    "certificate.revoked.v1",
)
ON_A_RECOGNITION: Final = ("recognition.granted.v1", "recognition.withdrawn.v1")
Named = Annotated[str, InPath(pattern=CODE_PATTERN)]
_ALL = Paging(limit=1000)


def routes(
    handlers: Handlers,
    database: Database,
    sessions: Sessions,
    rosters: Rosters,
    addresses: Mapping[str, str],
    links: Links,
) -> APIRouter:
    """Every page of certification; ``addresses`` are those of the other services."""
    desk = Desk(
        sessions,
        TEMPLATES,
        LINKS,
        (Link(addresses["enrolment"], _("Cohorts and trainees")), Link(addresses["reporting"], _("Reports"))),
    )
    house = House(database, TYPES, may_say, CODES, handlers.take, queries.event, cast(Overview, overview))
    router = desk.router()

    @router.get("/")
    async def home(request: Request, begins: From = "") -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            open_ = await house.open_entries(session, visit.caller)
            cohorts = await overview.cohorts(session, visit.caller)
        return desk.page(
            request, visit, "home.html", open=open_, cohorts=leaf(cohorts, str, begins), now=datetime.now(UTC)
        )

    @router.get("/cohorts/{cohort}")
    async def cohort(request: Request, cohort: Named, begins: From = "") -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = await overview.candidates(session, visit.caller, cohort)
            named = await queries.named_certificates(session, visit.caller, cohort=cohort)
        if found is None:
            raise Problem(404, "not_found", "")
        return desk.page(
            request,
            visit,
            "cohort.html",
            cohort=cohort,
            candidates=leaf(found, lambda candidate: candidate.number, begins),
            counts=Counter(one.fact.status for candidate in found for one in candidate.certificates),
            kinds=[type_ for type_ in ON_A_CERTIFICATE[:3] if type_ in may_say(visit.caller)],
            trainees=f"{addresses['enrolment']}/cohorts/{cohort}",
            papers=len(named) if links.address else 0,
        )

    @router.get("/certificates/{certificate}")
    async def certificate(request: Request, certificate: Named) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = await queries.certificate(session, visit.caller, certificate)
            if found is None:
                raise Problem(404, "not_found", "")
            titled, today = await overview.titled(session, found), datetime.now(visit.zone).date()
            worths = await recognitions.worth(session, found, None, today)
            named = await queries.named_certificates(session, visit.caller, certificate=certificate)
            newer = await overview.newer(session, found)
        next_ = overview.may_follow(found, titled.scheme, today, is_newest=newer is None)
        return desk.page(
            request,
            visit,
            "certificate.html",
            certificate=found,
            titled=titled,
            worths=worths,
            named=bool(named),
            issues=links.address is not None,
            counts=found.status == "issued" and not (found.valid_until and found.valid_until < today),
            kinds=[type_ for type_ in ON_A_CERTIFICATE if type_ in may_say(visit.caller) & next_],
            newer=newer,
            trainee=f"{addresses['enrolment']}/people/{found.enrolment}",
        )

    @router.get("/schemes")
    async def schemes(request: Request) -> Response:
        visit = await desk.visit(request)
        async with database.transaction() as session:
            found = (await queries.schemes(session, _ALL)).items
        return desk.page(request, visit, "schemes.html", schemes=found)

    @router.get("/recognitions")
    async def register(request: Request, on: str = "") -> Response:
        visit = await desk.visit(request)
        day = day_of(on)
        async with database.transaction() as session:
            found = await overview.recognitions(session, day)
        return desk.page(
            request,
            visit,
            "recognitions.html",
            countries=found,
            on=day,
            today=datetime.now(visit.zone).date(),
            kinds=[type_ for type_ in ON_A_RECOGNITION if type_ in may_say(visit.caller)],
        )

    router.include_router(papers_desk.routes(desk, links))
    router.include_router(desk_routes.routes(desk, house, rosters))
    return router


def may_say(caller: Caller) -> frozenset[str]:
    """The types that an office in these roles may say; an administrator, all."""
    allowed = {type_ for type_, roles in ROLES.items() if caller.administrator or caller.roles & roles}
    return frozenset(allowed | ({"event.voided.v1"} if allowed else set()))
