"""What offices' rosters led to: by a row's key, the events that it became and keyed digests of what it said.

A service makes the mixin concrete on its own ``Base``. Nothing personal is here in clear; the events are in the service's
journal, whose table ``events`` has the same columns in both services, as far as this asks for them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from shared.database import write
from shared.rosters.rows import Key
from shared.rosters.statements import OF_ROWS, Remembered


class RosterRow(SQLModel):
    """One row of an office's rosters, by its key, as it was last taken."""

    __tablename__ = "roster_rows"

    source: str = Field(primary_key=True, sa_type=Text)
    kind: str = Field(primary_key=True, sa_type=Text)
    cohort: str = Field(primary_key=True, sa_type=Text)
    number: str = Field(primary_key=True, sa_type=Text)
    part: str = Field(primary_key=True, sa_type=Text)
    events: dict[str, str] = Field(sa_type=JSONB)
    digests: dict[str, str] = Field(sa_type=JSONB)
    carrier: str | None = Field(default=None, sa_type=Text)
    turn: int = 0
    said: dict[str, list[Any]] = Field(sa_type=JSONB)
    at: datetime | None = Field(default=None, sa_type=DateTime(timezone=True))
    """When it was said last."""


@dataclass(frozen=True, slots=True)
class Stands:
    """The event that stands for another one by now (the last that replaces it, or itself), and how. ``undone`` is a row's event
    that replaced it last and was voided."""

    id: str
    status: str
    code: str
    undone: str | None = None


async def lock_office(session: AsyncSession, schema: str, source: str) -> None:
    """One roster of an office at a time: two corrections of one row must not replace the same event."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": f"{schema} rosters {source}"}
    )


async def remembered(session: AsyncSession, source: str, keys: Collection[Key]) -> dict[Key, Remembered]:
    """What rows with these keys led to so far."""
    rows = await session.execute(
        text(
            """
            SELECT * FROM roster_rows JOIN unnest(CAST(:kinds AS text[]), CAST(:cohorts AS text[]), CAST(:numbers AS text[]),
                CAST(:parts AS text[])) AS asked (kind, cohort, number, part) USING (kind, cohort, number, part)
            WHERE source = :source
            """
        ),
        {"source": source, **_columns(keys)},
    )
    return {
        Key(row.kind, row.cohort, row.number, row.part): Remembered(
            row.events, row.digests, row.carrier, row.turn, row.said, row.at
        )
        for row in rows
    }


async def remember(session: AsyncSession, table: type[SQLModel], source: str, lines: Mapping[Key, Remembered]) -> None:
    """Keep what rows with these keys have led to by now."""
    rows = [
        {
            "source": source,
            **key._asdict(),
            "events": dict(line.events),
            "digests": dict(line.digests),
            "carrier": line.carrier,
            "turn": line.turn,
            "at": line.at,
            "said": {number: list(said) for number, said in line.said.items()},
        }
        for key, line in lines.items()
    ]
    await write(session, table, rows, ["events", "digests", "carrier", "turn", "said", "at"])


async def said_again(session: AsyncSession, source: str, keys: Collection[Key], at: datetime) -> None:
    """Rows with these keys say the same as before, at this moment."""
    if not keys:
        return
    await session.execute(
        text(
            """
            UPDATE roster_rows SET at = :at
            FROM unnest(CAST(:kinds AS text[]), CAST(:cohorts AS text[]), CAST(:numbers AS text[]), CAST(:parts AS text[]))
                AS asked (kind, cohort, number, part)
            WHERE source = :source AND (roster_rows.kind, roster_rows.cohort, roster_rows.number, roster_rows.part)
                = (asked.kind, asked.cohort, asked.number, asked.part) AND (at IS NULL OR at < :at)
            """
        ),
        {"source": source, "at": at, **_columns(keys)},
    )


async def stands(session: AsyncSession, source: str, ids: Collection[str]) -> dict[str, Stands]:
    """How these events of an office stand by now, or what replaced them: also by hand, or by a program of the office."""
    if not ids:
        return {}
    rows = await session.execute(
        text(
            """
            WITH RECURSIVE chain (first, id, depth) AS (
                SELECT asked, asked, 0 FROM unnest(CAST(:ids AS text[])) AS asked
                UNION ALL
                SELECT first, events.id, depth + 1 FROM chain JOIN events ON events.target = chain.id
                WHERE events.source = :source AND events.type <> 'event.voided.v1' AND depth < 1000 AND events.code
                    NOT IN ('voided', 'already_replaced', 'replaces_itself', 'type_differs', 'belongs_elsewhere')
            )
            SELECT DISTINCT ON (first) first, id, status, code, (
                SELECT undone.id FROM events AS undone WHERE undone.source = :source AND undone.target = chain.id
                    AND undone.code = 'voided' AND starts_with(undone.id, :of_rows) ORDER BY undone.place DESC LIMIT 1
            ) AS undone
            FROM chain JOIN events USING (id) WHERE source = :source ORDER BY first, depth DESC
            """
        ),
        {"source": source, "ids": sorted(set(ids)), "of_rows": OF_ROWS},
    )
    return {row.first: Stands(row.id, row.status, row.code, row.undone) for row in rows}


async def others(
    session: AsyncSession, source: str, kind: str, cohorts: Collection[str]
) -> list[tuple[Key, list[str]]]:
    """The keys of an office's rows of these cohorts, and of a session's the trainees that were remarked."""
    rows = await session.execute(
        text(
            """
            SELECT kind, cohort, number, part, ARRAY(SELECT jsonb_object_keys(said)) AS remarked FROM roster_rows
            WHERE source = :source AND kind = :kind AND cohort = ANY(:cohorts) ORDER BY cohort, number, part
            """
        ),
        {"source": source, "kind": kind, "cohorts": sorted(cohorts)},
    )
    return [(Key(row.kind, row.cohort, row.number, row.part), sorted(row.remarked)) for row in rows]


def _columns(keys: Collection[Key]) -> dict[str, Sequence[str]]:
    ordered = sorted(keys)
    return {
        "kinds": [key.kind for key in ordered],
        "cohorts": [key.cohort for key in ordered],
        "numbers": [key.number for key in ordered],
        "parts": [key.part for key in ordered],
    }
