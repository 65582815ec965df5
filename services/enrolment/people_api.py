"""HTTP to what may be read of persons, and to the administrator's keys."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from services.enrolment import people as persons
from services.enrolment.keys import rotate
from services.enrolment.people import (
    Crossings,
    Duplicates,
    People,
    PersonAnswer,
    PersonExport,
    PersonPlace,
    sees_names,
)
from services.enrolment.register import Register
from shared.audit import Audit
from shared.database import Database
from shared.events.codes import CODE_PATTERN
from shared.http import Problem
from shared.lists import known_parameters
from shared.offices import Caller, Doorkeeper
from shared.openapi import refusals

T = TypeVar("T")
Named = Annotated[str, Path(pattern=CODE_PATTERN)]


class Trainees(BaseModel):
    """A cohort's trainees, as far as the caller sees their details."""

    items: list[PersonPlace]


class Rotated(BaseModel):
    """How many keys are wrapped under the new master key: all there are."""

    wrapped: int


def people(database: Database, register: Register, door: Doorkeeper, audit: Audit) -> APIRouter:
    """The addresses of persons. Each look at details is kept with who looked."""
    router = APIRouter(prefix="/v1", responses=refusals(403))

    async def seer(caller: Annotated[Caller, Depends(door.open)]) -> Caller:
        if not sees_names(caller):
            raise Problem(403, "role_not_allowed", "This office sees figures and no names: ask reporting for them.")
        return caller

    async def ask(question: Callable[[People], Awaitable[T]]) -> T:
        return await persons.ask(database, register, audit, question)

    # Before the address with a name in it, which would take this for one.
    @router.get(
        "/persons/likely-duplicates", dependencies=[Depends(seer), Depends(known_parameters)], responses=refusals(400)
    )
    async def likely_duplicates(caller: Annotated[Caller, Depends(seer)]) -> Duplicates:
        """Enrolments that may be one person's, among those whose details the office sees; the likeliest first."""
        return await ask(lambda people: people.duplicates(caller))

    @router.get("/persons/{person}")
    async def one_person(person: Named, caller: Annotated[Caller, Depends(seer)]) -> PersonAnswer:
        """A person with the details that the office sees, by enrolment."""
        return _or_404(await ask(lambda people: people.person(caller, person)))

    @router.get("/persons/{person}/export")
    async def export(person: Named, caller: Annotated[Caller, Depends(seer)]) -> PersonExport:
        """All that enrolment holds about a person, to give to them: details, events, receipts, and who looked."""
        return _or_404(await ask(lambda people: people.export(caller, person)))

    @router.get(
        "/cohorts/{cohort}/trainees", dependencies=[Depends(seer), Depends(known_parameters)], responses=refusals(400)
    )
    async def trainees(cohort: Named, caller: Annotated[Caller, Depends(seer)]) -> Trainees:
        """The trainees of a cohort with the details that the office sees, by number."""
        return Trainees(items=await ask(lambda people: people.cohort(caller, cohort)))

    @router.get(
        "/crossings", dependencies=[Depends(door.administrator), Depends(known_parameters)], responses=refusals(400)
    )
    async def crossings() -> Crossings:
        """How often personal details were shown or given to an office of another country, by year and office."""
        return await ask(lambda people: people.crossings())

    @router.post("/keys/rotate", responses=refusals(409))
    async def rotate_keys(caller: Annotated[Caller, Depends(door.administrator)]) -> Rotated:
        """Wrap the key of every enrolment under a new master key, and delete the old one. Safe to ask again after a crash."""
        wrapped = await rotate(database, register, audit, caller)
        if wrapped is None:
            raise Problem(409, "rotating", "The keys are being rotated already: wait until that has ended.")
        return Rotated(wrapped=wrapped)

    return router


def _or_404(found: T | None) -> T:
    if found is None:
        raise Problem(404, "not_found", "There is nobody here whose details this office may see.")
    return found
