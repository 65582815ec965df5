"""Load and save: events with all that they hang together with, and what they led to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Row, any_, cast, select, text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import Text
from sqlmodel import col

from services.certification.awards import Cohort, Ref, Trainee, World
from services.certification.domain import Outcome
from services.certification.rules import number_of
from services.certification.tables import (
    CertificateRow,
    CohortRow,
    EventRow,
    Office,
    ReceiptRow,
    RefusedRow,
    SchemeRow,
    TraineeRow,
)
from shared.database import write
from shared.events.certification import CertificateFact, SchemeFact
from shared.events.enrolment import CohortFact, TraineeFact
from shared.events.envelope import Event
from shared.events.offices_to_certification import TYPES, AwardRef, SchemeRegistered
from shared.events.offices_to_enrolment import EventVoided
from shared.offices import Caller

NEW: Outcome = Outcome("waiting", "new")
"""The standing of an event between its being written and being decided, in one transaction; nobody ever sees it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An event for the journal, its keyed digest, and who handed it in."""

    event: Event
    content: bytes
    caller: Caller


@dataclass(frozen=True, slots=True)
class Stored:
    """An event in the journal, and its standing when it was read."""

    event: Event
    place: int
    outcome: Outcome
    receipt: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What an event's outcome is by now, which one that is (from 1), and since when."""

    type: str
    outcome: Outcome
    number: int
    recordedtime: datetime


@dataclass(slots=True)
class Loaded:
    """Whole units: events by (source, id), the trainees they hang together by, and what they depend on."""

    events: dict[Ref, Stored] = field(default_factory=dict)
    trainees: dict[str, Trainee] = field(default_factory=dict)
    enrolments: set[str] = field(default_factory=set)

    @property
    def schemes(self) -> set[str]:
        """The schemes that events on awards name."""
        return {one.event.data.scheme for one in self.events.values() if isinstance(one.event.data, AwardRef)}


async def lock(session: AsyncSession) -> None:
    """Let one transaction at a time decide: a person's certificates cross cohorts, and a number crosses persons."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('certification', 0))"))


# ---- the journal


async def digests(session: AsyncSession, refs: Iterable[Ref]) -> dict[Ref, bytes]:
    """The digests of those events that are in the journal."""
    rows = await session.execute(
        text(
            """
            SELECT source, id, digest FROM events
            JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS asked (source, id) USING (source, id)
            """
        ),
        _pairs("sources", "ids", refs),
    )
    return {(row.source, row.id): row.digest for row in rows}


async def add(session: AsyncSession, taken: Sequence[Taken], now: datetime) -> None:
    """Write new events into the journal."""
    lines = [
        {
            **_journal(one, now),
            "type": one.event.type,
            "enrolment": one.event.data.enrolment_id if isinstance(one.event.data, AwardRef) else None,
            "scheme": one.event.data.scheme if isinstance(one.event.data, AwardRef | SchemeRegistered) else None,
            "number": number_of(one.event),
            "target": target_of(one.event),
            "status": NEW.status,
            "code": NEW.code,
            "receipt": 0,
        }
        for one in taken
    ]
    await write(session, EventRow, lines)


async def keep_refused(session: AsyncSession, reused: Sequence[Taken], now: datetime) -> None:
    """Keep what came under an id that was used before. The same again is kept once."""
    for one in reused:
        line = _journal(one, now)
        known = select(col(RefusedRow.place)).where(
            col(RefusedRow.source) == one.event.source,
            col(RefusedRow.id) == one.event.id,
            col(RefusedRow.digest) == one.content,
        )
        if (await session.execute(known.limit(1))).first() is None:
            await session.execute(insert(RefusedRow).values(line))


def target_of(event: Event) -> str | None:
    """The id of the event that this one voids or replaces."""
    return event.data.event if isinstance(event.data, EventVoided) else event.replaces


def _journal(taken: Taken, now: datetime) -> dict[str, Any]:
    event = taken.event
    # Neither `subject` nor unknown fields: both are free text in which an office may have written a name.
    body = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "time": event.time.isoformat(),
        **({"replaces": event.replaces} if event.replaces else {}),
        "data": event.data.model_dump(mode="json", exclude_unset=True),
    }
    return {
        "source": event.source,
        "id": event.id,
        "digest": taken.content,
        "body": body,
        "recordedtime": now,
        "postedby": taken.caller.postedby,
    }


def _event(row: Row[Any]) -> Event:
    body = row.body
    data = TYPES[row.type].model_validate(body["data"])
    time = datetime.fromisoformat(body["time"])
    return Event(row.source, row.id, row.type, time, data, body, body.get("replaces"))


# ---- whole units


async def load(session: AsyncSession, enrolments: Iterable[str], refs: Iterable[Ref]) -> Loaded:
    """Everything that hangs together with these enrolments and events.

    Enrolments hang together by person, events by enrolment, by voiding and replacing each other, and by the awarding body's
    number; registrations of one scheme by its code. A round follows each tie one step further, until nothing new comes.
    """
    loaded = Loaded()
    enrolments, missing = set(enrolments), set(refs)
    targets: set[Ref] = set(missing)
    numbers: set[Ref] = set()
    schemes: set[str] = set()
    followed: set[Ref] = set()
    registrations: set[str] = set()
    while enrolments or missing or targets or numbers or schemes:
        enrolments |= await _same_person(session, loaded, enrolments)
        loaded.enrolments |= enrolments
        rows = await session.execute(
            _TIED,
            {
                "enrolments": list(enrolments),
                "schemes": list(schemes),
                **_pairs("sources", "ids", missing),
                **_pairs("target_sources", "targets", targets),
                **_pairs("number_schemes", "numbers", numbers),
            },
        )
        followed |= targets | numbers  # a source begins with a slash and a scheme's code does not
        registrations |= schemes
        fresh = [row for row in rows if (row.source, row.id) not in loaded.events]
        for row in fresh:
            loaded.events[row.source, row.id] = Stored(
                _event(row), row.place, Outcome(row.status, row.code), row.receipt
            )
        enrolments = {row.enrolment for row in fresh if row.enrolment} - loaded.enrolments
        schemes = {row.scheme for row in fresh if row.scheme and not row.enrolment} - registrations
        named = {(row.source, row.target) for row in fresh if row.target}
        missing = named - loaded.events.keys() - followed
        targets = ({(row.source, row.id) for row in fresh} | named) - followed
        numbers = {(row.scheme, row.number) for row in fresh if row.number} - followed
    return loaded


_TIED = text(
    """
    WITH tied AS (
        SELECT source, id FROM events WHERE enrolment = ANY(CAST(:enrolments AS text[]))
        UNION
        SELECT source, id FROM events
        JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS asked (source, id) USING (source, id)
        UNION
        SELECT source, id FROM events
        JOIN unnest(CAST(:target_sources AS text[]), CAST(:targets AS text[])) AS asked (source, target) USING (source, target)
        UNION
        SELECT source, id FROM events
        JOIN unnest(CAST(:number_schemes AS text[]), CAST(:numbers AS text[])) AS asked (scheme, number) USING (scheme, number)
        UNION
        SELECT source, id FROM events
        WHERE type = 'scheme.registered.v1' AND scheme = ANY(CAST(:schemes AS text[]))
    )
    SELECT source, id, place, type, body, enrolment, scheme, number, target, status, code, receipt
    FROM events JOIN tied USING (source, id)
    """
)


async def _same_person(session: AsyncSession, loaded: Loaded, enrolments: set[str]) -> set[str]:
    """The other enrolments of the same persons; all of them are put into ``loaded``.

    What is void is as if it had never been told, or the end would depend on whether it had been.
    """
    if not enrolments:
        return set()
    there = col(TraineeRow.void).is_(False)
    persons = select(col(TraineeRow.person)).where(_among(col(TraineeRow.enrolment), enrolments), there)
    rows = await session.execute(select(TraineeRow).where(col(TraineeRow.person).in_(persons), there))
    found = {row.enrolment: row for row in rows.scalars()}
    loaded.trainees |= {
        enrolment: Trainee(
            enrolment=enrolment,
            cohort=row.cohort,
            number=row.number,
            person=row.person,
            country=row.country,
            completion=row.completion,  # type: ignore[arg-type]  # written from the fact's own three words
            completed_on=row.completed_on,
            completion_withdrawn_at=row.completion_withdrawn_at,
        )
        for enrolment, row in found.items()
    }
    return set(found) - loaded.enrolments


async def enrolments_of(session: AsyncSession, persons: Iterable[str]) -> set[str]:
    """The enrolments of these persons, as far as is known now."""
    asked = select(col(TraineeRow.enrolment)).where(_among(col(TraineeRow.person), persons))
    return set((await session.execute(asked)).scalars())


async def world(session: AsyncSession, loaded: Loaded) -> World:
    """What the loaded events depend on: their trainees, those trainees' cohorts, and their schemes as saved."""
    cohorts = {trainee.cohort for trainee in loaded.trainees.values()}
    rows = await session.execute(
        select(CohortRow).where(_among(col(CohortRow.cohort), cohorts), col(CohortRow.void).is_(False))
    )
    return World(
        trainees=loaded.trainees,
        cohorts={
            row.cohort: Cohort(
                row.cohort,
                row.timezone,
                frozenset((line["office"], line["role"]) for line in row.parties),
                frozenset(
                    (line["office"], line["role"], datetime.fromisoformat(line["until"])) for line in row.former_parties
                ),
            )
            for row in rows.scalars()
        },
        schemes=await schemes(session, loaded.schemes),
    )


async def schemes(session: AsyncSession, codes: Iterable[str]) -> dict[str, SchemeFact]:
    """Schemes as saved."""
    rows = await session.execute(select(SchemeRow).where(_among(col(SchemeRow.scheme), codes)))
    return {row.scheme: SchemeFact.model_validate(row.data) for row in rows.scalars()}


async def certificates(session: AsyncSession, enrolments: Iterable[str]) -> dict[str, CertificateFact]:
    """The certificates of enrolments as saved."""
    rows = await session.execute(select(CertificateRow).where(_among(col(CertificateRow.enrolment), enrolments)))
    return {row.certificate: CertificateFact.model_validate(row.data) for row in rows.scalars()}


async def enrolments_under(session: AsyncSession, schemes: Iterable[str]) -> set[str]:
    """The enrolments that events under these schemes speak of."""
    asked = select(col(EventRow.enrolment)).where(
        _among(col(EventRow.scheme), schemes), col(EventRow.enrolment).is_not(None)
    )
    return {enrolment for enrolment in (await session.execute(asked.distinct())).scalars() if enrolment}


async def enrolments_in(session: AsyncSession, cohorts: Iterable[str]) -> set[str]:
    """The enrolments of these cohorts of which events speak."""
    asked = (
        select(col(TraineeRow.enrolment))
        .where(_among(col(TraineeRow.cohort), cohorts))
        .where(select(col(EventRow.id)).where(col(EventRow.enrolment) == col(TraineeRow.enrolment)).exists())
    )
    return set((await session.execute(asked)).scalars())


# ---- what events led to


async def save_outcomes(session: AsyncSession, standings: Mapping[Ref, Standing]) -> None:
    """Save the new standing of events, and add it to their history."""
    if not standings:
        return
    lines = [
        {
            "source": source,
            "id": id_,
            "number": standing.number,
            "status": standing.outcome.status,
            "code": standing.outcome.code,
            "recordedtime": standing.recordedtime,
        }
        for (source, id_), standing in standings.items()
    ]
    await write(session, ReceiptRow, lines)
    await session.execute(
        text(
            """
            UPDATE events SET status = said.status, code = said.code, receipt = said.number
            FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:statuses AS text[]), CAST(:codes AS text[]),
                CAST(:numbers AS int[])) AS said (source, id, status, code, number)
            WHERE (events.source, events.id) = (said.source, said.id)
            """
        ),
        _pairs("sources", "ids", standings)
        | _pairs("statuses", "codes", (one.outcome for one in standings.values()))
        | {"numbers": [one.number for one in standings.values()]},
    )


async def standings(session: AsyncSession, refs: Iterable[Ref]) -> dict[Ref, Standing]:
    """The standings of events in the journal."""
    rows = await session.execute(
        text(
            """
            SELECT source, id, type, receipts.status, receipts.code, receipt, receipts.recordedtime
            FROM events JOIN receipts USING (source, id)
            JOIN unnest(CAST(:sources AS text[]), CAST(:ids AS text[])) AS asked (source, id) USING (source, id)
            WHERE receipts.number = events.receipt
            """
        ),
        _pairs("sources", "ids", refs),
    )
    return {
        (row.source, row.id): Standing(row.type, Outcome(row.status, row.code), row.receipt, row.recordedtime)
        for row in rows
    }


async def save_schemes(session: AsyncSession, schemes: Iterable[SchemeFact]) -> None:
    """Save schemes as they now stand."""
    lines = [{"scheme": scheme.scheme, "data": scheme.model_dump(mode="json")} for scheme in schemes]
    await write(session, SchemeRow, lines, ["data"])


async def save_certificates(session: AsyncSession, certificates: Iterable[CertificateFact]) -> None:
    """Save certificates as they now stand."""
    lines = [
        {
            "certificate": fact.certificate,
            "enrolment": fact.enrolment,
            "cohort": fact.cohort,
            "scheme": fact.scheme,
            "status": fact.status,
            "country": fact.country,
            "data": fact.model_dump(mode="json"),
        }
        for fact in certificates
    ]
    await write(session, CertificateRow, lines, ["cohort", "status", "country", "data"])


# ---- what enrolment tells


async def roles(session: AsyncSession, offices: Iterable[str]) -> dict[str, frozenset[str]]:
    """The registered roles of those offices that are known and active."""
    asked = select(Office).where(_among(col(Office.office), offices), col(Office.status) == "active")
    return {row.office: frozenset(row.roles) for row in (await session.execute(asked)).scalars()}


async def put(
    session: AsyncSession, table: type[CohortRow | TraineeRow], told: Iterable[tuple[dict[str, Any], int, int]]
) -> dict[str, str | None]:
    """Take up (values, epoch, revision) of trainees or cohorts where they are newer than what is held.

    Answers the keys of the rows that differ by it, with the person that each had before.
    """
    newest: dict[str, dict[str, Any]] = {}  # one statement cannot change a row twice
    name, columns, but = table.__tablename__, list(table.model_fields), "- ARRAY['epoch', 'revision']"
    for values, epoch, revision in sorted(told, key=lambda line: line[1:]):
        newest[values[columns[0]]] = values | {"epoch": epoch, "revision": revision}
    statement = f"""
        INSERT INTO {name} AS held ({", ".join(columns)})
        SELECT {", ".join(columns)} FROM jsonb_populate_recordset(CAST(NULL AS {name}), CAST(:lines AS jsonb))
        ON CONFLICT ({columns[0]}) DO UPDATE
        SET ({", ".join(columns)}) = ROW ({", ".join(f"excluded.{column}" for column in columns)})
        WHERE (held.epoch, held.revision) < (excluded.epoch, excluded.revision)
        RETURNING new.{columns[0]} AS key, to_jsonb(old) ->> 'person' AS person,
                  to_jsonb(old) {but} IS DISTINCT FROM to_jsonb(new) {but} AS differs
    """  # noqa: S608 (the names of fixed tables)
    taken = await session.execute(text(statement), {"lines": json.dumps(list(newest.values()), default=str)})
    return {row.key: row.person for row in taken if row.differs}


def trainee_values(fact: TraineeFact) -> dict[str, Any]:
    """What is held of a trainee's fact."""
    return {
        "enrolment": fact.enrolment,
        "cohort": fact.cohort,
        "number": fact.number,
        "person": fact.person,
        "country": fact.country,
        "completion": fact.completion,
        "completed_on": fact.completed_on,
        "completion_withdrawn_at": fact.completion_withdrawn_at,
        "void": fact.status == "void",
    }


def cohort_values(fact: CohortFact) -> dict[str, Any]:
    """What is held of a cohort's fact."""
    return {
        "cohort": fact.cohort,
        "timezone": fact.timezone,
        "parties": [party.model_dump(mode="json") for party in fact.parties],
        "former_parties": [party.model_dump(mode="json") for party in fact.former_parties],
        "void": fact.status == "void",
    }


def _among(column: Any, values: Iterable[str]) -> Any:
    # One array instead of one parameter for each value: thousands of parameters are slow, and more than 32,767 impossible.
    return column == any_(cast(list(values), ARRAY(Text)))


def _pairs(first: str, second: str, pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    pairs = list(pairs)
    return {first: [one for one, _ in pairs], second: [two for _, two in pairs]}
