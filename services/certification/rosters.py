"""Certification's sheets of a roster, assessments and awards: who may say them, and how its journal takes them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.certification import queries, store
from services.certification.handlers import Handlers
from services.certification.rules import ROLES, sentence
from services.certification.tables import RosterRow
from shared.database import Database
from shared.events.envelope import keyed
from shared.events.identity import enrolment_id
from shared.offices import Caller, Doorkeeper
from shared.rosterdesk import Desk
from shared.rosters.recognised import OUT, Said
from shared.rosters.rows import Key
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
        signers=store.signers,
        sentence=sentence,
        said=_said,
    )


async def _said(session: AsyncSession, source: str, keys: Collection[Key]) -> dict[Key, list[Said]]:
    ours: dict[tuple[str, str], list[Key]] = {}
    for key in keys:
        ours.setdefault((enrolment_id(key.cohort, key.number), key.kind), []).append(key)
    rows = await session.execute(
        text(
            """
            SELECT id, type, status, body, enrolment, recordedtime FROM events
            WHERE source = :source AND enrolment = ANY(:enrolments) AND code <> ALL(CAST(:out AS text[]))
                AND type IN ('trainee.assessed.v1', 'certificate.awarded.v1', 'certificate.numbered.v1')
            ORDER BY status = 'accepted', status = 'waiting', CAST(body ->> 'time' AS timestamptz), id COLLATE "C"
            """
        ),
        {"out": list(OUT), "source": source, "enrolments": sorted({enrolment for enrolment, _ in ours})},
    )
    found: dict[Key, list[Said]] = {}
    for row in rows:
        data, kind = row.body["data"], "assessments" if row.type == "trainee.assessed.v1" else "awards"
        part = [data["scheme"], data["occupation"]] + ([str(data.get("attempt", 1))] if kind == "assessments" else [])
        for key in ours.get((row.enrolment, kind), ()):
            if key.part == "/".join(part):
                time = datetime.fromisoformat(row.body["time"])
                stands = row.status != "conflict"
                one = Said(row.id, row.type, time, row.recordedtime, own=True, stands=stands, data=data)
                found.setdefault(key, []).append(one)
    return found


async def choices(database: Database, caller: Caller) -> Mapping[str, Sequence[str]]:
    """The codes of the registered schemes and of the caller's cohorts, for the drop-downs of the template."""
    async with database.transaction() as session:
        return await queries.roster_codes(session, caller)
