"""The audit trail: who did what, and when, in an order that nobody can change unnoticed.

Each row's digest is keyed and covers the digest of the row before, so a row that was changed, taken out, put in or moved breaks
the chain from there on; the head is sealed on its own, so that rows taken from the end are missed too. Whoever has the database
and not the service's secret can make neither. A copy of the database that is put back whole is consistent in itself: the head
that somebody wrote down elsewhere tells (`GET /v1/audit/head`, and what `sampan check` prints).

A row holds an officer, an action and an id: never a name, a number or a birth date of a trainee.
"""

import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from sqlalchemy import BigInteger, DateTime, LargeBinary, Text, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from shared.database import Database
from shared.offices import Caller
from shared.secrets import derive

ACTIONS: Final[dict[str, str]] = {
    "bundle.brought": "handed in so many events that offices had signed while they had no connection",
    "credentials.made": "made NATS credentials for an officer",
    "deadletter.read": "read the body of a dead letter",
    "deadletter.replayed": "had a dead letter handled once more",
    "details.compared": "was shown details of so many persons who may be somebody already enrolled",
    "details.exported": "took all that is held about a person",
    "details.shown": "was shown the details of so many persons",
    "documents.taken": "took so many documents of certificates, with the names of their holders",
    "events.posted": "handed in so many events, whatever became of them",
    "exception.ended": "took back that a figure is public already",
    "exception.made": "said that a figure is public already, so that it is shown however few it counts",
    "issuer.compromised": "gave up a key that signs what is attested to, with so many documents to be signed anew",
    "issuer.rotated": "made a new key that signs what is attested to",
    "keys.rotated": "made a new master key, and began to wrap every other key anew",
    "officer.revoked": "took every token and all NATS credentials from one officer",
    "office.registered": "registered an office, or changed its name or roles, and made a token for an officer",
    "office.revoked": "revoked an office with every token",
    "period.closed": "published a version of a period's report",
    "publication.set": "turned public figures on or off, with this threshold",
    "rejected.read": "read what was rejected of a body",
    "reporting.rebuilt": "had the read side made anew",
    "session.ended": "signed out of the pages",
    "session.started": "signed in to the pages",
    "tables.released": "made this version of the public tables",
    "token.rotated": "made a new token for an officer, whose old ones end soon",
    "wallet.ended": "ended the links to a certificate's documents that its holder had",
    "wallet.made": "made a link to a certificate's documents, to be given to its holder",
}
"""What is recorded. An action that is not here cannot be: whoever adds one says what it means."""
SUBJECT_PATTERN: Final = "[A-Za-z0-9/_.:-]{1,200}"
"""Ids and codes: no text that could be a name."""
_NOTHING_BEFORE = bytes(32)
_BATCH = 1000


class AuditRow(SQLModel):
    """One act; a mixin for each service's own table. ``place`` counts from 1 without gaps."""

    __tablename__ = "audit"

    place: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    time: datetime = Field(sa_type=DateTime(timezone=True))
    office: str | None = Field(default=None, sa_type=Text)
    """None for an administrator, who belongs to none."""
    officer: str = Field(sa_type=Text)
    action: str = Field(sa_type=Text)
    subject: str | None = Field(default=None, sa_type=Text)
    """The id of what it was done to."""
    number: int = Field(sa_type=BigInteger)
    """How many there were of what was done."""
    digest: bytes = Field(sa_type=LargeBinary)


class AuditHead(SQLModel):
    """How far the trail reaches: one row (id 1), made with the first act. Its lock is the trail's."""

    __tablename__ = "audit_head"

    id: int = Field(default=1, primary_key=True)
    place: int = Field(sa_type=BigInteger)
    digest: bytes = Field(sa_type=LargeBinary)
    seal: bytes = Field(sa_type=LargeBinary)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a caller did. ``subject`` is an id, ``number`` how many of what was done."""

    caller: Caller
    action: str
    subject: str | None = None
    number: int = 1

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"{self.action} is not among shared.audit.ACTIONS")
        if self.subject is not None and not re.fullmatch(SUBJECT_PATTERN, self.subject):
            raise ValueError("the subject of an act is an id, and this is none")


class AuditLine(BaseModel):
    """One act as an administrator reads it; ``digest`` is the chain's up to here, in hexadecimal."""

    place: int
    time: datetime
    office: str | None
    officer: str
    action: str
    subject: str | None
    number: int
    digest: str


class Head(BaseModel):
    """How far the trail reaches, and its digest there: whoever writes it down can later tell whether all of it still stands."""

    place: int
    digest: str


class Broken(NamedTuple):
    """A place at which the trail is not as it was written."""

    which: str
    problem: str


class Audit:
    """Appends to one service's trail, reads and verifies it."""

    def __init__(
        self, database: Database, secret: bytes, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """``secret`` is the service's own."""
        self._database = database
        self._key = derive(secret, "audit")
        self._clock = clock

    async def record(self, session: AsyncSession, *acts: Act) -> None:
        """Append acts in the transaction that does them.

        The trail's lock is held until that transaction ends, so this comes last in it: after the publish lock, and after
        everything that takes time.
        """
        if not acts:
            return
        # Made, or locked and read as it is once the lock is ours: an upsert sees what was committed while it waited.
        head = (
            await session.execute(
                text(
                    """
                    INSERT INTO audit_head (id, place, digest, seal) VALUES (1, 0, :nothing, :seal)
                    ON CONFLICT (id) DO UPDATE SET id = 1 RETURNING place, digest
                    """
                ),
                {"nothing": _NOTHING_BEFORE, "seal": self._seal(0, _NOTHING_BEFORE)},
            )
        ).one()
        now, digest = self._clock(), head.digest
        rows: list[dict[str, Any]] = []
        for place, act in enumerate(acts, head.place + 1):
            row = {
                "place": place,
                "time": now,
                "office": act.caller.source,
                "officer": act.caller.officer,
                "action": act.action,
                "subject": act.subject,
                "number": act.number,
            }
            digest = self._digest(digest, row)
            rows.append({**row, "digest": digest})
        await session.execute(_APPEND, rows)
        await session.execute(
            text("UPDATE audit_head SET place = :place, digest = :digest, seal = :seal WHERE id = 1"),
            {"place": rows[-1]["place"], "digest": digest, "seal": self._seal(rows[-1]["place"], digest)},
        )

    async def record_alone(self, *acts: Act) -> None:
        """Append acts that change nothing else, in a transaction of their own."""
        await self._database.run(lambda session: self.record(session, *acts))

    async def head(self, session: AsyncSession) -> Head:
        """How far the trail reaches."""
        row = (await session.execute(text("SELECT place, digest FROM audit_head WHERE id = 1"))).one_or_none()
        return (
            Head(place=0, digest=_NOTHING_BEFORE.hex())
            if row is None
            else Head(place=row.place, digest=row.digest.hex())
        )

    async def lines(
        self, session: AsyncSession, after: int, limit: int, only: Mapping[str, str | None]
    ) -> list[AuditLine]:
        """Acts in their order, those after a place; ``only`` names columns (office, officer, action, subject) and a value."""
        given = {column: value for column, value in only.items() if value is not None}
        where = "".join(f" AND {column} = :{column}" for column in given)
        rows = await session.execute(
            text(f"SELECT * FROM audit WHERE place > :after{where} ORDER BY place LIMIT :limit"),  # noqa: S608 (our own names)
            {**given, "after": after, "limit": limit},
        )
        return [AuditLine.model_validate({**row, "digest": row["digest"].hex()}) for row in rows.mappings()]

    async def verify(self, session: AsyncSession) -> AsyncIterator[Broken]:
        """Every place at which the trail is not as it was written; the session must see one snapshot."""
        last, digest = 0, _NOTHING_BEFORE
        async for row in _rows(session):
            if row["place"] > last + 1:
                yield Broken(_span(last + 1, row["place"] - 1), "is missing")
            elif not hmac.compare_digest(self._digest(digest, row), row["digest"]):
                yield Broken(f"{row['place']}", "is not what was written there")
            last, digest = max(last, row["place"]), row["digest"]
        head = (await session.execute(text("SELECT place, digest, seal FROM audit_head"))).one_or_none()
        if head is None:
            if last:
                yield Broken("head", "is missing")
        elif not hmac.compare_digest(self._seal(head.place, head.digest), head.seal):
            yield Broken("head", "is not what was written there")
        elif head.place > last:
            yield Broken(_span(last + 1, head.place), "is missing")
        elif (head.place, head.digest) != (last, digest):
            yield Broken("head", f"is at {head.place}, and the last row is {last}")

    def _digest(self, before: bytes, row: Any) -> bytes:
        said = [
            row["place"],
            row["time"].astimezone(UTC).isoformat(timespec="microseconds"),
            *(row[name] for name in ("office", "officer", "action", "subject", "number")),
        ]
        return hmac.digest(self._key, before + json.dumps(said).encode(), hashlib.sha256)

    def _seal(self, place: int, digest: bytes) -> bytes:
        # Begins otherwise than any row's, which begins with a digest and goes on with a list.
        return hmac.digest(self._key, b"head " + place.to_bytes(8, "big", signed=True) + digest, hashlib.sha256)


_APPEND = text(
    """
    INSERT INTO audit (place, time, office, officer, action, subject, number, digest)
    VALUES (:place, :time, :office, :officer, :action, :subject, :number, :digest)
    """
)


async def _rows(session: AsyncSession) -> AsyncIterator[Any]:
    last = -(2**63)
    while True:
        found = await session.execute(
            text("SELECT * FROM audit WHERE place > :last ORDER BY place LIMIT :limit"), {"last": last, "limit": _BATCH}
        )
        rows = found.mappings().all()
        for row in rows:
            yield row
        if len(rows) < _BATCH:
            return
        last = rows[-1]["place"]


def _span(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first} to {last}"
