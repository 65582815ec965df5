"""Kept bodies, gone through a part at a time: each may be of several megabytes, and there may be a month of them. What could not
be read is searched, too.
"""

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

PART = 8_000_000
"""Bytes of bodies in one part, and one body more at most."""
ROWS = 500
"""Bodies in one part at most."""
_ESCAPED = re.compile(r"(?<!\\)\\+u([0-9a-fA-F]{4})")
"""What JSON may write for a character; with more backslashes where JSON was written into JSON."""


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


def searchable(body: bytes) -> str | None:
    """The text of a body that could not be read; None in another encoding than UTF-8: nobody can be looked for in that."""
    try:
        text_ = body.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text_ else text_  # as UTF-16 has them, which by chance is UTF-8 too


def plain(text_: str) -> str:
    """A text with what its escapes stand for in their place, and without NUL: as it is searched beside what it says itself."""
    if "\\" in text_:
        undone = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text_)
        # Two escapes make one character beyond the first 65,536: some Chinese names have one.
        text_ = undone.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text_.replace("\0", "")
