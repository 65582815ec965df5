"""What a database holds once a story is told: told once per worker, and put back for each test that begins there."""

from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple, TypeVar, cast

from sqlalchemy import MetaData, text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Database

T = TypeVar("T")


class _State(NamedTuple):
    given: Any
    """What telling it gave: tokens, for example."""
    rows: dict[str, str]
    """Of each table that holds any, as JSON."""
    numbers: dict[str, int]
    """The last one of each sequence."""


_states: dict[tuple[str, Hashable], _State] = {}


async def once_told(database: Database, metadata: MetaData, name: Hashable, tell: Callable[[], Awaitable[T]]) -> T:
    """What ``tell`` gives, on a database as it leaves it; ``name`` stands for the story, and the database is empty before."""
    key = (database.schema, name)
    if key not in _states:
        given = await tell()
        async with database.transaction() as session:
            _states[key] = await _look(session, metadata, given)
    else:
        async with database.transaction() as session:
            await _put_back(session, _states[key])
    return cast("T", _states[key].given)


async def _look(session: AsyncSession, metadata: MetaData, given: object) -> _State:
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
    return _State(given, rows, {row.name: row.last_value for row in numbers})


async def _put_back(session: AsyncSession, state: _State) -> None:
    for name in reversed(state.rows):
        await session.execute(text(f"DELETE FROM {name}"))  # noqa: S608
    for name, rows in state.rows.items():
        put = f"""
            INSERT INTO {name} OVERRIDING SYSTEM VALUE
            SELECT * FROM json_populate_recordset(NULL::{name}, CAST(:rows AS json))
        """  # noqa: S608
        await session.execute(text(put), {"rows": rows})
    for name, last in state.numbers.items():
        await session.execute(text("SELECT setval(CAST(:name AS regclass), :last)"), {"name": name, "last": last})
