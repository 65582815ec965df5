"""Kept bodies, gone through a part at a time: each may be of several megabytes, and there may be a month of them."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

PART = 8_000_000
"""Bytes of bodies in one part, and one body more at most."""
ROWS = 500
"""Bodies in one part at most."""


async def parts(
    session: AsyncSession, table: str, columns: str, body: str, where: str = "true"
) -> AsyncIterator[Sequence[Row[Any]]]:
    """The rows of a table of bodies with ``id`` and these columns, by id; ``body`` is the column that may be large."""
    part = text(
        f"""
        SELECT id, {columns} FROM (
            SELECT *, sum(octet_length({body})) OVER (ORDER BY id) - octet_length({body}) AS before
            FROM (SELECT * FROM {table} WHERE id > :after AND {where} ORDER BY id LIMIT :rows) AS next
        ) AS counted
        WHERE before < :bytes ORDER BY id
        """  # noqa: S608 (names of ours)
    )
    after = 0
    while rows := (await session.execute(part, {"after": after, "rows": ROWS, "bytes": PART})).all():
        yield rows
        after = rows[-1].id
