"""Enrolment's sheets of a roster, trainees and attendance: who may say them, and how its journal takes them."""

from collections.abc import Mapping, Sequence

from services.enrolment import queries
from services.enrolment.handlers import Handlers
from services.enrolment.register import Register
from services.enrolment.rules import GUARDS
from services.enrolment.sentences import SENTENCES
from services.enrolment.tables import RosterRow
from shared.database import Database
from shared.offices import Caller, Doorkeeper
from shared.rostering import Desk


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
    )


async def choices(database: Database, caller: Caller) -> Mapping[str, Sequence[str]]:
    """The codes of the caller's cohorts, for the drop-downs of the template."""
    async with database.transaction() as session:
        return await queries.roster_codes(session, caller)
