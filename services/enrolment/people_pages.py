"""Persons on the desk: details and names for those who may see them, and who may be one person. Every look is written down."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Query, Request, Response

from services.enrolment import queries
from services.enrolment.details import places
from services.enrolment.people import People, ask, sees_names
from services.enrolment.register import Register
from shared.audit import Audit
from shared.database import Database
from shared.desk.frame import Desk, Visit
from shared.events.codes import CODE_PATTERN
from shared.events.enrolment import TraineeFact
from shared.events.persons import Person
from shared.http import Problem
from shared.offices import Caller
from shared.pages.languages import noted as _

T = TypeVar("T")
Named = Annotated[str, Path(pattern=CODE_PATTERN)]
NAMES = 150
"""Names on one page."""
PAIRS = 25
"""Pairs on the page of those who may be one person."""
CLOSE = {
    "same": _("The dates of birth are the same."),
    "day and month exchanged": _("In the dates of birth, day and month are exchanged."),
    "one digit differs": _("The dates of birth differ in one digit."),
    "unknown": _("One of the dates of birth is not known."),
}
"""How close two birth dates are, in the officer's words."""


def routes(
    desk: Desk, database: Database, register: Register, audit: Audit, may_say: Callable[[Caller], frozenset[str]]
) -> APIRouter:
    """The pages on which persons have names. Before those with an enrolment in the address, which would take /people/same."""
    router = desk.router()

    async def asked(question: Callable[[People], Awaitable[T]]) -> T:
        return await ask(database, register, audit, question)

    async def trainee(visit: Visit, enrolment: str) -> TraineeFact:
        async with database.transaction() as session:
            found = await queries.enrolment(session, visit.caller, enrolment)
        if found is None:
            raise Problem(404, "not_found", "")
        return found

    async def seer(request: Request) -> Visit:
        visit = await desk.visit(request)
        if not sees_names(visit.caller):
            raise Problem(403, "no_names", "")
        return visit

    @router.get("/people/same")
    async def same(request: Request) -> Response:
        visit = await seer(request)
        pairs = (await asked(lambda people: people.duplicates(visit.caller, PAIRS))).items
        return desk.page(
            request,
            visit,
            "same.html",
            pairs=pairs,
            full=len(pairs) == PAIRS,
            close=CLOSE,
            decisions=[type_ for type_ in ("person.merged.v1", "person.parted.v1") if type_ in may_say(visit.caller)],
        )

    @router.get("/people/{enrolment}/details")
    async def details(request: Request, enrolment: Named) -> Response:
        visit = await desk.visit(request)
        found = await trainee(visit, enrolment)
        answer = (
            await asked(lambda people: people.person(visit.caller, found.person)) if sees_names(visit.caller) else None
        )
        here = answer.enrolments if answer else []
        return desk.page(
            request,
            visit,
            "details.html",
            200 if here else 403,
            trainee=found,
            places=sorted(here, key=lambda place: place.enrolment != enrolment),
            person=Person,
        )

    @router.get("/people/{enrolment}/export")
    async def export(request: Request, enrolment: Named) -> Response:
        visit = await seer(request)
        found = await trainee(visit, enrolment)
        answer = await asked(lambda people: people.export(visit.caller, found.person))
        if answer is None:
            raise Problem(404, "not_found", "")
        headers = {"Content-Disposition": f'attachment; filename="{found.person}.json"', "Cache-Control": "no-store"}
        return Response(answer.model_dump_json(indent=2), media_type="application/json", headers=headers)

    @router.get("/cohorts/{cohort}/names")
    async def names(
        request: Request, cohort: Named, after: Annotated[str, Query(pattern=f"{CODE_PATTERN}|^$")] = ""
    ) -> Response:
        visit = await seer(request)
        async with database.transaction() as session:
            found = await queries.cohort(session, visit.caller, cohort)
        if found is None:
            raise Problem(404, "not_found", "")
        listed = await asked(lambda people: people.cohort(visit.caller, cohort, after, NAMES))
        return desk.page(
            request,
            visit,
            "names.html",
            cohort=found.cohort,
            trainees=listed,
            after=listed[-1].number if len(listed) == NAMES else None,
        )

    return router


async def details_shown(database: Database, caller: Caller, enrolment: str) -> bool:
    """Whether a page of details is there for the caller: no look yet."""
    if not sees_names(caller):
        return False
    async with database.transaction() as session:
        return any(place.shown_to(caller) for place in await places(session, enrolments=[enrolment]))
