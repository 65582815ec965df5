"""What databases hold once a story is told: told once per worker, and put back for each test that begins there."""

from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Database

T = TypeVar("T")


class Place(NamedTuple):
    """One service's tables."""

    database: Database
    metadata: MetaData


class _Held(NamedTuple):
    rows: dict[str, str]
    """Of each table that holds any, as JSON."""
    numbers: dict[str, int]
    """The last one of each sequence."""


_told: dict[Hashable, tuple[Any, list[_Held]]] = {}


async def once_told(name: Hashable, tell: Callable[[], Awaitable[T]], *places: Place) -> T:
    """What ``tell`` gives, on databases as it leaves them; ``name`` stands for the story, and they are empty before."""
    if name not in _told:
        for place in places:
            before = await place.database.run(partial(_look, place.metadata))
            assert before.rows.keys() <= {"outbox_head"}, f"{name}: {list(before.rows)} were told before"
        given = await tell()
        _told[name] = given, [await place.database.run(partial(_look, place.metadata)) for place in places]
    else:
        for place, held in zip(places, _told[name][1], strict=True):
            await place.database.run(partial(_put_back, held))
    return cast("T", _told[name][0])


async def _look(metadata: MetaData, session: AsyncSession) -> _Held:
    rows = {
        table.name: held
        for table in metadata.sorted_tables
        if (held := await session.scalar(text(f"SELECT json_agg(t)::text FROM {table.name} t")))  # noqa: S608
    }
    numbers = await session.execute(
        text(
            """
            SELECT format('%I.%I', schemaname, sequencename) AS name, last_value FROM pg_sequences
            WHERE schemaname = current_schema AND last_value IS NOT NULL
            """
        )
    )
    return _Held(rows, {row.name: row.last_value for row in numbers})


async def _put_back(held: _Held, session: AsyncSession) -> None:
    for name in reversed(held.rows):
        await session.execute(text(f"DELETE FROM {name}"))  # noqa: S608
    for name, rows in held.rows.items():
        put = f"""
            INSERT INTO {name} OVERRIDING SYSTEM VALUE
            SELECT * FROM json_populate_recordset(NULL::{name}, CAST(:rows AS json))
        """  # noqa: S608
        await session.execute(text(put), {"rows": rows})
    for name, last in held.numbers.items():
        await session.execute(text("SELECT setval(CAST(:name AS regclass), :last)"), {"name": name, "last": last})
