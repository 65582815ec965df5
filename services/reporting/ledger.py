"""What was known when: every change of the cube is a step, kept with the position in both streams after it.

A step is a transaction of the projector that changed at least one cell. Nothing of the past is ever changed: what was known at a
step is the cube as it is now, less what was added since.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped
from sqlmodel import col

from services.reporting.domain import NEVER, Cell, Known
from services.reporting.tables import CubeStep
from shared.events import certification
from shared.outbox import heard_positions

STREAMS = ("ENROLMENT", "CERTIFICATION")

HOW_TO_ASK = (
    "write a day as YYYY-MM-DD or a month as YYYY-MM (up to its end, UTC), a moment with its offset such as "
    "2025-05-03T12:00:00Z, or a position as that of enrolment, a full stop and that of certification, such as 120.45"
)

_POSITION = re.compile(r"(0|[1-9]\d{0,17})\.(0|[1-9]\d{0,17})", re.ASCII)
_MONTH = re.compile(r"\d{4}-\d{2}", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class NotAMoment(ValueError):
    """The text names neither a position nor a moment."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Up to when something is to be known: a position in both streams, a moment until which facts were recorded, or a step."""

    text: str
    position: tuple[int, int] | None = None
    before: datetime | None = None
    step: int | None = None

    @classmethod
    def read(cls, asked: str) -> "Asked":
        """Raises NotAMoment."""
        if position := _POSITION.fullmatch(asked):
            return cls(asked, position=(int(position[1]), int(position[2])))
        try:
            if _MONTH.fullmatch(asked):
                next_month = (date.fromisoformat(f"{asked}-28") + timedelta(days=4)).replace(day=1)
                return cls(asked, before=datetime.combine(next_month, time(tzinfo=UTC)))
            if _DAY.fullmatch(asked):
                next_day = date.fromisoformat(asked) + timedelta(days=1)
                return cls(asked, before=datetime.combine(next_day, time(tzinfo=UTC)))
            moment = datetime.fromisoformat(asked)
            if moment.tzinfo is not None:
                return cls(asked, before=moment.astimezone(UTC) + timedelta(microseconds=1))
        except (ValueError, OverflowError):
            pass
        raise NotAMoment


@dataclass(frozen=True, slots=True)
class Step:
    """A state of the cube: the number of its last change (0: the beginning), how far both streams were applied, and when the
    newest fact up to there was recorded, or the cube was put right, if that was later."""

    number: int = 0
    position: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    time: datetime | None = None


async def step_at(session: AsyncSession, asked: Asked) -> Step:
    """The last step up to the position, the moment or the step that is asked for."""
    if asked.step is not None:
        return await _last(session, col(CubeStep.step), col(CubeStep.step) <= asked.step)
    if asked.position is not None:
        enrolment, certification = asked.position
        found = [
            await _last(session, col(CubeStep.enrolment), col(CubeStep.enrolment) <= enrolment),
            await _last(session, col(CubeStep.certification), col(CubeStep.certification) <= certification),
        ]
        return min(found, key=lambda step: step.number)
    return await _last(session, col(CubeStep.time), col(CubeStep.time) < asked.before)


async def last_step(session: AsyncSession) -> Step:
    """The state of now, with the position up to which it is true: further than that of its last change, or the same."""
    step = await _last(session, col(CubeStep.step))
    heard = await heard_positions(session)
    return Step(step.number, {stream: heard.get(stream, 0) for stream in STREAMS}, step.time)


async def _last(session: AsyncSession, by: Mapped[Any], *which: ColumnElement[bool]) -> Step:
    statement = select(CubeStep).where(*which).order_by(by.desc(), col(CubeStep.step).desc()).limit(1)
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        return Step()
    return Step(row.step, {"ENROLMENT": row.enrolment, "CERTIFICATION": row.certification}, row.time)


async def unlike(session: AsyncSession) -> list[tuple[bytes, int, int]]:
    """Cells whose changes do not add up to what they are: the key, the cell's value and the sum of its changes."""
    rows = await session.execute(
        text(
            """
            SELECT key, coalesce(value, 0) AS value, coalesce(added, 0) AS added
            FROM (SELECT key, sum(delta) AS added FROM cube_changes GROUP BY key) AS changes FULL JOIN cube USING (key)
            WHERE coalesce(value, 0) <> coalesce(added, 0) ORDER BY key LIMIT 100
            """
        )
    )
    return [(row.key, int(row.value), int(row.added)) for row in rows]


# --- writing

NEXT_STEP = "(SELECT coalesce(max(number), 0) + 1 FROM cube_version)"
"""In SQL, that of what is being applied, or, where it changes no cell, of whatever does next."""

_BETWEEN = "\x1f"

_ADD = f"""
    WITH said AS (
        SELECT * FROM unnest(CAST(:key AS bytea[]), {", ".join(f"string_to_array(:{name}, chr(31))" for name in Cell._fields)},
                             CAST(:delta AS bigint[])) AS said (key, {", ".join(Cell._fields)}, delta)
    ), now AS (
        INSERT INTO cube_version AS kept (id, number, time) VALUES (1, 1, :time)
        ON CONFLICT (id) DO UPDATE SET number = kept.number + 1, time = greatest(kept.time, excluded.time)
        RETURNING number, time
    ), stepped AS (
        INSERT INTO cube_steps (step, time, enrolment, certification, why)
        SELECT number, time, greatest(:enrolment, (SELECT position FROM heard WHERE stream = 'ENROLMENT')),
               greatest(:certification, (SELECT position FROM heard WHERE stream = 'CERTIFICATION')), :why
        FROM now
    ), changed AS (
        INSERT INTO cube_changes (step, key, delta) SELECT number, key, delta FROM now, said
    ), tailed AS (
        INSERT INTO cube_tail ({", ".join(Cell._fields)}, delta)
        SELECT {", ".join(Cell._fields)}, delta FROM said WHERE measure <> 'people'
    )
    INSERT INTO cube AS kept (key, {", ".join(Cell._fields)}, value)
    SELECT key, {", ".join(Cell._fields)}, delta FROM said
    ON CONFLICT (key) DO UPDATE SET value = kept.value + excluded.value
"""  # noqa: S608 (the names of a fixed table)


async def change(
    session: AsyncSession,
    delta: Mapping[Cell, int],
    keys: Iterable[bytes],
    facts: Iterable[Known],
    why: str | None = None,
) -> None:
    """Add to the cube what ``facts`` change in it, as its next step; ``keys`` are the cells' own.

    The position after it is that of the facts, or what is heard already where that is further: a dead letter may come late.
    What is put right without a fact is known since now.
    """
    upto = Counter(dict.fromkeys(STREAMS, 0))
    newest = None
    for fact in facts:
        stream = STREAMS[f"{fact.kind}.v1" in certification.DATA]
        upto[stream] = max(upto[stream], fact.position)
        newest = max(newest or NEVER, fact.time)
    cells = list(delta)
    # One text for each column, with what no value holds between them: the driver looks at every element of an array, twice.
    values = {name: _BETWEEN.join(cell[place] for cell in cells) for place, name in enumerate(Cell._fields)}
    positions = {stream.lower(): position for stream, position in upto.items()}
    await session.execute(
        text(_ADD),
        {
            "key": list(keys),
            **values,
            "delta": [delta[cell] for cell in cells],
            "time": newest or datetime.now(UTC),
            "why": why,
            **positions,
        },
    )


async def renew(session: AsyncSession) -> None:
    """Have whoever holds an answer ask for it anew: the cube is of another version, and no step leads to it."""
    await session.execute(
        text(
            """
            INSERT INTO cube_version AS kept (id, number, time) VALUES (1, 1, :never)
            ON CONFLICT (id) DO UPDATE SET number = kept.number + 1
            """
        ),
        {"never": NEVER},
    )
