"""What programmes, centres and schemes are called, as their offices registered them. Nothing is counted from it."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Text, any_, cast, literal, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from services.reporting.domain import Known, newest
from services.reporting.tables import Registered
from shared.database import as_json
from shared.events.certification import SchemeFact
from shared.events.enrolment import CentreFact, ProgrammeFact
from shared.events.facts import Version

KINDS: dict[str, type[ProgrammeFact | CentreFact | SchemeFact]] = {
    "programme": ProgrammeFact,
    "centre": CentreFact,
    "scheme": SchemeFact,
}

_KEEP = """
    INSERT INTO registered AS held (kind, key, epoch, revision, position, time, cause, data)
    SELECT kind, key, epoch, revision, position, time, cause, data
    FROM jsonb_populate_recordset(CAST(NULL AS registered), CAST(:rows AS jsonb))
    ON CONFLICT (kind, key) DO UPDATE
    SET (epoch, revision, position, time, cause, data) =
        ROW (excluded.epoch, excluded.revision, excluded.position, excluded.time, excluded.cause, excluded.data)
    WHERE (held.epoch, held.revision) < (excluded.epoch, excluded.revision)
"""


async def keep(session: AsyncSession, facts: Sequence[Known]) -> None:
    """Take up what is newer than what is held."""
    rows = [
        {
            "kind": fact.kind,
            "key": fact.key,
            **fact.version._asdict(),
            "position": fact.position,
            "time": fact.time,
            "cause": fact.cause,
            "data": fact.data.model_dump(mode="json"),
        }
        for fact in newest((fact for fact in facts if fact.kind in KINDS), {})
    ]
    if rows:
        await session.execute(text(_KEEP), {"rows": as_json(rows)})


async def of_kind(session: AsyncSession, kind: str) -> list[Any]:
    """Every programme, centre or scheme that is not void, in the order of their codes."""
    rows = await session.scalars(
        select(cast(col(Registered.data), Text)).where(col(Registered.kind) == kind).order_by(col(Registered.key))
    )
    facts = [KINDS[kind].model_validate_json(data) for data in rows]
    return [fact for fact in facts if fact.status != "void"]


async def held(session: AsyncSession, kind: str, keys: Collection[str]) -> dict[str, tuple[Version, str]]:
    """What is held of these: its version, and its data as text; also of void ones."""
    rows = await session.execute(
        select(col(Registered.key), col(Registered.epoch), col(Registered.revision), cast(col(Registered.data), Text))
        .where(col(Registered.kind) == kind)
        .where(col(Registered.key) == any_(literal(list(keys), ARRAY(Text))))
    )
    return {key: (Version(epoch, revision), data) for key, epoch, revision, data in rows}
