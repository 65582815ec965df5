"""Enrolment's sheets of a roster, trainees and attendance: who may say them, and how its journal takes them."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import queries
from services.enrolment.handlers import Handlers
from services.enrolment.register import Register
from services.enrolment.rules import GUARDS
from services.enrolment.sentences import SENTENCES
from services.enrolment.store import Store
from services.enrolment.tables import RosterRow
from shared.database import Database
from shared.events.identity import enrolment_id
from shared.offices import Caller, Doorkeeper
from shared.rostering import Desk
from shared.rosters.rows import Key


def desk(handlers: Handlers, register: Register, database: Database, door: Doorkeeper, certification_url: str) -> Desk:
    """What takes these sheets; the others are taken at ``certification_url``."""
    return Desk(
        service="enrolment",
        roles={
            "trainees": GUARDS["trainee.enrolled.v1"].roles,
            "attendance": GUARDS["session.held.v1"].roles,
        },
        elsewhere=certification_url,
        database=database,
        door=door,
        table=RosterRow,
        handlers=handlers,
        keyed=register.keyed,
        sentence=SENTENCES.__getitem__,
        forgotten=partial(_forgotten, register),
    )


async def _forgotten(register: Register, session: AsyncSession, keys: Collection[Key]) -> set[Key]:
    named = {key: enrolment_id(key.cohort, key.number) for key in keys}
    found = await Store(session, register).forgotten(named.values())
    return {key for key, enrolment in named.items() if enrolment in found}


async def choices(database: Database, caller: Caller) -> Mapping[str, Sequence[str]]:
    """The codes of the caller's cohorts, for the drop-downs of the template."""
    async with database.transaction() as session:
        return await queries.roster_codes(session, caller)
