"""Files that an officer has shown and not sent yet: kept sealed in the service's own table, for an hour.

Between the look at what a roster would do and its taking the officer does not choose the file again, on whatever computer runs
the service. A file opens for the session that showed it and for nothing else: its key is made of the service's secret and of what
only the officer's browser holds, so neither a backup nor this service by itself can read it, and once the officer has signed out
nobody can. That is how names in it are gone when their owner is forgotten: certification does not hear of that.
"""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import DateTime, LargeBinary, Text, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel, col

from shared.database import Database
from shared.secrets import derive, seal, unseal
from shared.sessions import Visitor

LIFE = timedelta(hours=1)


class KeptRow(SQLModel):
    """One file; a mixin for each service's own table."""

    id: str = Field(primary_key=True, sa_type=Text)
    owner: str = Field(sa_type=Text)
    """The officer who showed it."""
    sealed: bytes = Field(sa_type=LargeBinary)
    answers: bytes | None = Field(default=None, sa_type=LargeBinary)
    """What became of its rows, sealed too."""
    expires: datetime = Field(sa_type=DateTime(timezone=True))


@dataclass(frozen=True, slots=True)
class Kept:
    """A file as it was shown, how it was to be read, and what became of it."""

    name: str
    content: bytes
    wishes: Mapping[str, Any]
    answers: str | None


class Keeping:
    """Keeps the files of one service."""

    def __init__(self, database: Database, row: type[KeptRow], secret: bytes) -> None:
        """``secret`` is the service's own."""
        self._database = database
        self._row = row
        self._key = derive(secret, "kept files")

    async def keep(self, visitor: Visitor, name: str, content: bytes, wishes: Mapping[str, Any]) -> str:
        """Keep a file; its id."""
        id_, now = secrets.token_hex(16), datetime.now(UTC)
        head = json.dumps({"name": name, "wishes": dict(wishes)}).encode()
        sealed = seal(self._key_of(visitor), len(head).to_bytes(4, "big") + head + content, id_.encode())
        async with self._database.transaction() as session:
            await self.forget_expired(session)
            owner = visitor.caller.postedby
            await session.execute(insert(self._row).values(id=id_, owner=owner, sealed=sealed, expires=now + LIFE))
        return id_

    async def forget_expired(self, session: AsyncSession) -> None:
        """Delete the files whose hour is over, also when nobody shows another."""
        await session.execute(delete(self._row).where(col(self._row.expires) <= datetime.now(UTC)))

    async def found(self, visitor: Visitor, id_: str) -> Kept | None:
        """A file that this officer showed since they signed in."""
        async with self._database.transaction() as session:
            row = (
                await session.execute(
                    select(col(self._row.sealed), col(self._row.answers)).where(
                        col(self._row.id) == id_,
                        col(self._row.owner) == visitor.caller.postedby,
                        col(self._row.expires) > datetime.now(UTC),
                    )
                )
            ).one_or_none()
        if row is None:
            return None
        key = self._key_of(visitor)
        try:
            plain = unseal(key, row[0], id_.encode())
        except InvalidTag:  # shown in another session of theirs
            return None
        length = int.from_bytes(plain[:4], "big")
        head = json.loads(plain[4 : 4 + length])
        answers = None if row[1] is None else unseal(key, row[1], f"{id_}/answers".encode()).decode()
        return Kept(head["name"], plain[4 + length :], head["wishes"], answers)

    async def answered(self, visitor: Visitor, id_: str, answers: str) -> None:
        """Keep what became of a file's rows beside it."""
        sealed = seal(self._key_of(visitor), answers.encode(), f"{id_}/answers".encode())
        owner = visitor.caller.postedby
        async with self._database.transaction() as session:
            await session.execute(
                update(self._row).where(col(self._row.id) == id_, col(self._row.owner) == owner).values(answers=sealed)
            )

    def _key_of(self, visitor: Visitor) -> bytes:
        return hmac.digest(self._key, visitor.form_key.encode(), "sha256")
