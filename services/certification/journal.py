"""The journal: every event that was taken, and how it stands, under the lock with which a transaction decides."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Row, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.certification.awards import Ref
from services.certification.domain import Outcome
from services.certification.recognising import recognised_by
from services.certification.rules import number_of
from services.certification.tables import EventRow, ReceiptRow, RefusedRow
from shared import correlation
from shared.database import write
from shared.events.envelope import Event
from shared.events.offices_to_certification import TYPES, AwardRef, RecognitionRef, SchemeRegistered
from shared.events.offices_to_enrolment import EventVoided
from shared.offices import Caller

NEW: Outcome = Outcome("waiting", "new")
"""The standing of an event until it is decided, in one transaction; nobody ever sees it."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An event for the journal, its keyed digest, and who handed it in."""

    event: Event
    content: bytes
    caller: Caller


class Ties(NamedTuple):
    """What events hang together by: columns of the journal, each with its index."""

    enrolment: str | None
    scheme: str | None
    number: str | None
    target: str | None
    recognised: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What an event's outcome is by now, which one that is (from 1), and since when."""

    type: str
    outcome: Outcome
    number: int
    recordedtime: datetime


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
        pairs("sources", "ids", refs),
    )
    return {(row.source, row.id): row.digest for row in rows}


async def add(session: AsyncSession, taken: Sequence[Taken], standings: Mapping[Ref, Standing]) -> None:
    """Write new events into the journal, as they stand."""
    lines = [
        {
            **_journal(one, standing.recordedtime),
            "type": one.event.type,
            **ties_of(one.event)._asdict(),
            "correlation": correlation.id_of(one.event.ref),
            "status": standing.outcome.status,
            "code": standing.outcome.code,
            "receipt": standing.number,
        }
        for one in taken
        for standing in (standings[one.event.ref],)
    ]
    await write(session, EventRow, lines)
    await _history(session, {one.event.ref: standings[one.event.ref] for one in taken})


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


def ties_of(event: Event) -> Ties:
    """What an event hangs together with others by."""
    data = event.data
    return Ties(
        data.enrolment_id if isinstance(data, AwardRef) else None,
        data.scheme if isinstance(data, AwardRef | RecognitionRef | SchemeRegistered) else None,
        number_of(event),
        target_of(event),
        recognised_by(event) if isinstance(data, RecognitionRef) else None,
    )


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


def event_of(row: Row[Any]) -> Event:
    body = row.body
    data = TYPES[row.type].model_validate(body["data"])
    time = datetime.fromisoformat(body["time"])
    return Event(row.source, row.id, row.type, time, data, body, body.get("replaces"))


async def _history(session: AsyncSession, standings: Mapping[Ref, Standing]) -> None:
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


async def save_outcomes(session: AsyncSession, standings: Mapping[Ref, Standing]) -> None:
    """Save the new standing of events of the journal, and add it to their history."""
    if not standings:
        return
    await _history(session, standings)
    await session.execute(
        text(
            """
            UPDATE events SET status = said.status, code = said.code, receipt = said.number
            FROM unnest(CAST(:sources AS text[]), CAST(:ids AS text[]), CAST(:statuses AS text[]), CAST(:codes AS text[]),
                CAST(:numbers AS int[])) AS said (source, id, status, code, number)
            WHERE (events.source, events.id) = (said.source, said.id)
            """
        ),
        pairs("sources", "ids", standings)
        | pairs("statuses", "codes", (one.outcome for one in standings.values()))
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
        pairs("sources", "ids", refs),
    )
    return {
        (row.source, row.id): Standing(row.type, Outcome(row.status, row.code), row.receipt, row.recordedtime)
        for row in rows
    }


def pairs(first: str, second: str, lines: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Pairs as two arrays of the same length, for ``unnest``."""
    lines = list(lines)
    return {first: [one for one, _ in lines], second: [two for _, two in lines]}
