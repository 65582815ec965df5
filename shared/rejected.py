"""Bodies that were rejected: kept sealed for a stated time, for audit, and then deleted."""

import asyncio
import base64
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidTag
from sqlalchemy import BigInteger, DateTime, Identity, LargeBinary, Row, Text, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from shared.events.wire import Raw
from shared.kept import parts, plain, searchable
from shared.secrets import derive, seal, unseal

KEPT = timedelta(days=30)
"""How long a rejected body is kept: it may hold personal details."""
BASE64 = "base64"
"""The encoding of what is not UTF-8, in what is kept."""
LIMIT = 8_000_000
"""Bytes that are kept of what one post had rejected; what comes after is told apart by its codes only."""


class RejectedRow(SQLModel):
    """What was rejected of one body; readable only with the service's secret."""

    __tablename__ = "rejected"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger, sa_column_args=(Identity(always=True),))
    source: str | None = Field(default=None, sa_type=Text)
    """The office that posted it; null for an administrator."""
    postedby: str = Field(sa_type=Text)
    codes: list[str] = Field(sa_type=ARRAY(Text))
    sealed: bytes = Field(sa_type=LargeBinary)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))
    expires: datetime = Field(sa_type=DateTime(timezone=True), index=True)


@dataclass(frozen=True, slots=True)
class Rejected:
    """What may be shown of a rejected body in a list: everything but what it said."""

    id: int
    source: str | None
    postedby: str
    codes: list[str]
    recordedtime: datetime
    expires: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """One rejected event as it came: where in the body it stood (0 for the body as a whole), why it was rejected, and its fields,
    or, if it could not be read, ``{"written": ...}``, with ``"encoding": "base64"`` if it is not UTF-8."""

    place: int
    code: str
    fields: Mapping[str, Any]
    written: bytes = b""
    """What could not be read."""

    @classmethod
    def of(cls, raw: Raw, code: str) -> "Said":
        """A rejected event of a body."""
        return cls(raw.place, code, raw.fields) if raw.written is None else cls.unread(raw.place, code, raw.written)

    @classmethod
    def unread(cls, place: int, code: str, written: bytes) -> "Said":
        """What could not be read."""
        text_ = searchable(written)
        if text_ is not None:
            return cls(place, code, {"written": text_}, written)
        return cls(place, code, {"written": base64.b64encode(written).decode(), "encoding": BASE64}, written)


class RejectedBodies:
    """One service's rejected bodies."""

    def __init__(self, service: str, secret: bytes, elsewhere: Collection[str] = ()) -> None:
        """``secret`` is the service's; the key that seals bodies is derived from it.

        Of what cannot be read nothing is kept that speaks of a type in ``elsewhere``, or beside what does, or that may do so: it
        may hold names, and only the service that takes those types can forget them.
        """
        self.service = service
        self._elsewhere = tuple(elsewhere)
        self._key = derive(secret, "rejected bodies")

    async def keep(
        self, session: AsyncSession, source: str | None, postedby: str, events: Sequence[Said], now: datetime
    ) -> None:
        """Keep what was rejected of one post."""
        if self._elsewhere and any(event.written for event in events):
            # For some megabytes of escapes it takes a second.
            events = await asyncio.to_thread(self._of_ours, events)
        if not events:
            return
        kept, size = [], 0
        for event in events:
            line = _line({"place": event.place, "code": event.code, "event": event.fields})
            size += len(line)
            if size > LIMIT:
                break
            kept.append(line)
        await session.execute(
            text(
                """
                INSERT INTO rejected (source, postedby, codes, sealed, recordedtime, expires)
                VALUES (:source, :postedby, :codes, :sealed, :now, :expires)
                """
            ),
            {
                "source": source,
                "postedby": postedby,
                "codes": sorted({event.code for event in events}),
                "sealed": self._sealed(kept, postedby),
                "now": now,
                "expires": now + KEPT,
            },
        )

    async def entries(self, session: AsyncSession, after: int = 0, limit: int = 100) -> list[Rejected]:
        """What was rejected, with an id above ``after``, oldest first."""
        rows = await session.execute(
            text(
                """
                SELECT id, source, postedby, codes, recordedtime, expires FROM rejected
                WHERE id > :after AND expires > now() ORDER BY id LIMIT :limit
                """
            ),
            {"after": after, "limit": limit},
        )
        return [Rejected(**row) for row in rows.mappings()]

    async def events(self, session: AsyncSession, number: int) -> list[dict[str, Any]] | None:
        """The events of one rejected body as they came; None when there is none of this id (any more).

        Raises InvalidTag when it was sealed with another secret.
        """
        found = await session.execute(
            text("SELECT postedby, sealed FROM rejected WHERE id = :id AND expires > now()"), {"id": number}
        )
        row = found.first()
        return None if row is None else self._opened(row.sealed, row.postedby)

    async def strike_out(self, session: AsyncSession, about: Callable[[Any], bool]) -> None:
        """Take out every event that is about somebody who is forgotten, or that nobody can tell it of.

        A body that does not open any more tells nothing to anybody.
        """
        async for rows in parts(session, "rejected", "postedby, sealed", "sealed"):
            struck = await asyncio.to_thread(self._struck, rows, about)
            if struck:
                await session.execute(text("UPDATE rejected SET sealed = :sealed WHERE id = :id"), struck)

    async def forget_expired(self, session: AsyncSession) -> None:
        """Delete what has been kept long enough."""
        await session.execute(text("DELETE FROM rejected WHERE expires <= now()"))

    def _of_ours(self, events: Sequence[Said]) -> list[Said]:
        """What may be kept of one post where others take some types."""
        texts = [searchable(event.written) for event in events]
        said = [plain(text_) for text_ in texts if text_]
        if any(type_ in text_ for text_ in said for type_ in self._elsewhere):
            return [event for event in events if not event.written]  # one event may be in several lines
        return [event for event, text_ in zip(events, texts, strict=True) if text_ is not None]

    def _struck(self, rows: Sequence[Row[Any]], about: Callable[[Any], bool]) -> list[dict[str, Any]]:
        """Those of these that hold something about them, without it."""
        found = []
        for row in rows:
            try:
                events = self._opened(row.sealed, row.postedby)
            except InvalidTag:
                continue
            left = [_line(event) for event in events if not (_untold(event["event"]) or about(event["event"]))]
            if len(left) < len(events):
                found.append({"id": row.id, "sealed": self._sealed(left, row.postedby)})
        return found

    def _sealed(self, lines: Sequence[bytes], postedby: str) -> bytes:
        return seal(self._key, b"[" + b",".join(lines) + b"]", postedby.encode())

    def _opened(self, sealed: bytes, postedby: str) -> list[dict[str, Any]]:
        opened: list[dict[str, Any]] = json.loads(
            unseal(self._key, sealed, postedby.encode()).decode("utf-8", "surrogatepass")
        )
        return opened


def _untold(event: Any) -> bool:
    """Whether nobody can tell who an event is about."""
    return isinstance(event, dict) and event.keys() == {"written", "encoding"} and event["encoding"] == BASE64


def _line(event: Mapping[str, Any]) -> bytes:
    # Half a surrogate pair is among what is rejected, and no encoding's business but ours.
    return json.dumps(event, ensure_ascii=False).encode("utf-8", "surrogatepass")
