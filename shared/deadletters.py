"""Dead letters: messages that no handler could settle, kept sealed and announced without their bodies."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath
from traceback import extract_tb
from typing import Any

from cryptography.exceptions import InvalidTag
from pydantic import ValidationError
from sqlalchemy import BigInteger, DateTime, LargeBinary, Row, Text, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from shared.delivery import Delivery
from shared.kept import parts, searchable
from shared.outbox import Notice, notify
from shared.secrets import derive, seal, unseal

KEPT = timedelta(days=90)
"""How long a dead letter is kept: its body may hold personal details."""


class DeadLetterRow(SQLModel):
    """One message that could not be settled; its body is readable only with the service's secret."""

    __tablename__ = "dead_letters"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    stream: str = Field(sa_type=Text)
    sequence: int = Field(sa_type=BigInteger)
    subject: str = Field(sa_type=Text)
    error: str = Field(sa_type=Text)
    body: bytes = Field(sa_type=LargeBinary)
    recordedtime: datetime = Field(sa_type=DateTime(timezone=True))
    expires: datetime = Field(sa_type=DateTime(timezone=True), index=True)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What may be shown of a dead letter: everything but its body."""

    id: int
    stream: str
    sequence: int
    subject: str
    error: str
    recordedtime: datetime
    expires: datetime


class Unreadable(Exception):
    """A dead letter's body was sealed with another secret than this service now has."""


class DeadLetters:
    """One service's dead letters."""

    def __init__(self, service: str, secret: bytes) -> None:
        """`secret` is the service's; the key that seals bodies is derived from it."""
        self.service = service
        self._key = derive(secret, "dead letters")

    async def bury(self, session: AsyncSession, delivery: Delivery, error: BaseException) -> None:
        """Keep a message that cannot be settled, and announce it on `deadletter.<service>` without its body."""
        now = datetime.now(UTC)
        where = _place(delivery.stream, delivery.sequence)
        row = {
            "stream": delivery.stream,
            "sequence": delivery.sequence,
            "subject": delivery.subject,
            "error": describe(error),
            "recordedtime": now,
            "expires": now + KEPT,
        }
        number = (
            await session.execute(
                text(
                    """
                    INSERT INTO dead_letters (stream, sequence, subject, error, body, recordedtime, expires)
                    VALUES (:stream, :sequence, :subject, :error, :body, :recordedtime, :expires)
                    RETURNING id
                    """
                ),
                {**row, "body": seal(self._key, delivery.body, where)},
            )
        ).scalar_one()
        announced = {
            **row,
            "service": self.service,
            "id": number,
            "recordedtime": now.isoformat(),
            "expires": (now + KEPT).isoformat(),
        }
        await notify(session, [Notice(f"deadletter.{self.service}", announced, delivery.way)])

    async def entries(self, session: AsyncSession, after: int = 0, limit: int = 100) -> list[DeadLetter]:
        """The dead letters with an id above `after`, oldest first."""
        rows = await session.execute(
            text(
                """
                SELECT id, stream, sequence, subject, error, recordedtime, expires FROM dead_letters
                WHERE id > :after AND expires > now() ORDER BY id LIMIT :limit
                """
            ),
            {"after": after, "limit": limit},
        )
        return [DeadLetter(**row) for row in rows.mappings()]

    async def body(self, session: AsyncSession, number: int) -> bytes | None:
        """The message's body, opened; None when there is no such dead letter (any more). Raises Unreadable."""
        found = await session.execute(
            text("SELECT stream, sequence, body FROM dead_letters WHERE id = :id AND expires > now()"), {"id": number}
        )
        row = found.first()
        if row is None:
            return None
        try:
            return unseal(self._key, row.body, _place(row.stream, row.sequence))
        except InvalidTag:
            raise Unreadable from None

    async def entry(self, session: AsyncSession, number: int) -> DeadLetter | None:
        """One dead letter; None when there is none of this id (any more)."""
        found = await self.entries(session, after=number - 1, limit=1)
        return found[0] if found and found[0].id == number else None

    async def message(self, session: AsyncSession, number: int) -> Delivery | None:
        """The message as it came; None when there is no such dead letter (any more). Raises Unreadable."""
        entry, body = await self.entry(session, number), await self.body(session, number)
        if entry is None or body is None:
            return None
        return Delivery(entry.subject, body, entry.stream, entry.sequence, deliveries=1, headers={})

    async def failed_again(self, session: AsyncSession, number: int, error: str) -> None:
        """Note why a dead letter could not be handled this time either; ``error`` is as ``describe`` says it."""
        update = text("UPDATE dead_letters SET error = :error WHERE id = :id")
        await session.execute(update, {"error": error, "id": number})

    async def remove(self, session: AsyncSession, number: int) -> None:
        """Forget a dead letter that has been handled."""
        await session.execute(text("DELETE FROM dead_letters WHERE id = :id"), {"id": number})

    async def strike_out(self, session: AsyncSession, about: Callable[[Any], bool]) -> None:
        """Take out of what offices posted every event that is about somebody who is forgotten, or that nobody can tell it of.

        A body that was sealed with another secret tells nothing to anybody, and is kept as long as any.
        """
        await session.execute(text("LOCK TABLE dead_letters IN SHARE MODE"))  # waits for one that is not there yet
        async for rows in parts(session, "dead_letters", "stream, sequence, body", "body", "stream = 'INTAKE'"):
            empty, struck = await asyncio.to_thread(self._struck, rows, about)
            if empty:
                await session.execute(text("DELETE FROM dead_letters WHERE id = ANY(:ids)"), {"ids": empty})
            if struck:
                await session.execute(text("UPDATE dead_letters SET body = :body WHERE id = :id"), struck)

    async def forget_expired(self, session: AsyncSession) -> None:
        """Delete what has been kept long enough."""
        await session.execute(text("DELETE FROM dead_letters WHERE expires <= now()"))

    def _struck(self, rows: Sequence[Row[Any]], about: Callable[[Any], bool]) -> tuple[list[int], list[dict[str, Any]]]:
        """Those of these that hold nothing but what is about them, or may be, and those that hold something of it, without it."""
        empty, struck = [], []
        for row in rows:
            where = _place(row.stream, row.sequence)
            try:
                opened = unseal(self._key, row.body, where)
            except InvalidTag:
                continue
            try:
                said = json.loads(opened)
            except (ValueError, RecursionError):
                written = searchable(opened)
                if written is None:  # nobody can tell who it is about
                    empty.append(row.id)
                    continue
                said = {"written": written}
            events = said if isinstance(said, list) else [said]
            left = [event for event in events if not about(event)]
            if not left:
                empty.append(row.id)
            elif len(left) < len(events):
                struck.append({"id": row.id, "body": seal(self._key, json.dumps(left).encode(), where)})
        return empty, struck


def describe(error: BaseException) -> str:
    """An error's class and the place in this program where it arose, never its message.

    Messages repeat the input (pydantic's do), and the input may be somebody's name: what this returns is safe in logs and in
    announcements.
    """
    name = type(error).__name__
    if isinstance(error, ValidationError):
        name += "(" + ", ".join(sorted({detail["type"] for detail in error.errors(include_input=False)})) + ")"
    ours = [frame for frame in extract_tb(error.__traceback__) if "site-packages" not in frame.filename]
    if ours:
        path = PurePath(ours[-1].filename)
        name += f" at {'/'.join(path.parts[-3:])}:{ours[-1].lineno} in {ours[-1].name}"
    if isinstance(error.__cause__, Exception):
        name += f", from {type(error.__cause__).__name__}"
    return name


def _place(stream: str, sequence: int) -> bytes:
    return f"{stream}/{sequence}".encode()
