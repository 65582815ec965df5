"""Enrolment's sheets of a roster, trainees and attendance: who may say them, and how its journal takes them."""

import json
from collections.abc import Collection, Mapping, Sequence
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.enrolment import queries
from services.enrolment.details import opened
from services.enrolment.handlers import Handlers
from services.enrolment.register import Register
from services.enrolment.rules import GUARDS
from services.enrolment.sentences import SENTENCES
from services.enrolment.store import Store, signers_of
from services.enrolment.tables import RosterRow
from shared.database import Database
from shared.events.identity import enrolment_id
from shared.offices import Caller, Doorkeeper
from shared.rosterdesk import Desk
from shared.rosters.recognised import OUT, Said
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
        signers=signers_of,
        sentence=SENTENCES.__getitem__,
        said=partial(_said, register),
        forgotten=partial(_forgotten, register),
    )


async def _forgotten(register: Register, session: AsyncSession, keys: Collection[Key]) -> set[Key]:
    named = {key: enrolment_id(key.cohort, key.number) for key in keys}
    found = await Store(session, register).forgotten(named.values())
    return {key for key, enrolment in named.items() if enrolment in found}


async def _said(register: Register, session: AsyncSession, source: str, keys: Collection[Key]) -> dict[Key, list[Said]]:
    trainees = {enrolment_id(key.cohort, key.number): key for key in keys if key.kind == "trainees"}
    sessions = {(f"cohort/{key.cohort}", key.part): key for key in keys if key.kind == "attendance"}
    rows = await session.execute(
        text(
            """
            SELECT source, id, type, status, time, recordedtime, enrolment, unit, data, owner, entries.sealed, keys.sealed AS key
            FROM events LEFT JOIN register_entries AS entries USING (source, id)
            LEFT JOIN register_keys AS keys USING (owner)
            WHERE code <> ALL(CAST(:out AS text[]))
                AND NOT EXISTS (SELECT FROM forgotten WHERE forgotten.enrolment = events.enrolment) AND (
                type IN ('trainee.proposed.v1', 'trainee.enrolled.v1') AND source = :source AND enrolment = ANY(:enrolments)
                OR type = 'person.corrected.v1' AND enrolment = ANY(:enrolments) AND status = 'accepted'
                OR type = 'session.held.v1' AND source = :source AND unit = ANY(:units) AND data ->> 'session' = ANY(:sessions))
            ORDER BY status = 'accepted', status = 'waiting', time, rank, id COLLATE "C"
            """
        ),
        {
            "out": list(OUT),
            "source": source,
            "enrolments": list(trainees),
            "units": sorted({unit for unit, _ in sessions}),
            "sessions": sorted({number for _, number in sessions}),
        },
    )
    found: dict[Key, list[Said]] = {}
    for row in rows:
        key = trainees[row.enrolment] if row.enrolment else sessions.get((row.unit, str(row.data["session"])))
        if key is None:
            continue  # another cohort's session of this number
        data = json.loads(opened(register, row))["data"] if row.sealed is not None else row.data
        stands = row.status != "conflict"
        one = Said(row.id, row.type, row.time, row.recordedtime, row.source == source, stands, data)
        found.setdefault(key, []).append(one)
    return found


async def choices(database: Database, caller: Caller) -> Mapping[str, Sequence[str]]:
    """The codes of the caller's cohorts, for the drop-downs of the template."""
    async with database.transaction() as session:
        return await queries.roster_codes(session, caller)
