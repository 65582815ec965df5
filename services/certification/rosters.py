"""Certification's sheets of a roster, assessments and awards: who may say them, and how its journal takes them."""

from collections.abc import Mapping, Sequence

from services.certification import queries
from services.certification.handlers import Handlers
from services.certification.rules import ROLES, sentence
from services.certification.tables import RosterRow
from shared.database import Database
from shared.events.envelope import keyed
from shared.offices import Caller, Doorkeeper
from shared.rostering import Desk
from shared.secrets import derive


def desk(handlers: Handlers, secret: bytes, database: Database, door: Doorkeeper, enrolment_url: str) -> Desk:
    """What takes these sheets; the others are taken at ``enrolment_url``. ``secret`` is the service's own."""
    key = derive(secret, "rosters")
    return Desk(
        service="certification",
        roles={
            "assessments": ROLES["trainee.assessed.v1"],
            "awards": ROLES["certificate.awarded.v1"],
        },
        elsewhere=enrolment_url,
        database=database,
        door=door,
        table=RosterRow,
        handlers=handlers,
        keyed=lambda value: keyed(key, value),
        sentence=sentence,
    )


async def choices(database: Database, caller: Caller) -> Mapping[str, Sequence[str]]:
    """The codes of the registered schemes and of the caller's cohorts, for the drop-downs of the template."""
    async with database.transaction() as session:
        return await queries.roster_codes(session, caller)
