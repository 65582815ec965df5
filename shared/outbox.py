"""The outbox: facts and notices are written in the transaction that makes them true, and published afterwards.

A service makes the mixins below concrete on its own `Base`. Facts are numbered without gaps in the order of commit: that number,
the position, is also the message's sequence in the service's stream, so the stream can be made anew from the table.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic_core import to_json
from sqlalchemy import BigInteger, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import Field, SQLModel

from shared import correlation
from shared.correlation import Way
from shared.events.facts import Fact

# What a NATS server takes in one message unless told otherwise is 1 MiB, headers included.
MAX_BYTES = 1_000_000
# What cannot be published must be refused here: in the outbox it would hold up all that comes after it.
_FACT_SUBJECT = re.compile(r"(enrolment|certification)(\.[a-z0-9-]{1,63})+")
_NOTICE_SUBJECT = re.compile(r"(receipts|deadletter)(\.[a-z0-9-]{1,63})+")


class OutboxHead(SQLModel):
    """One row (id 1), made by the migration as (1, 1, 0): how far the journal reaches. Its lock is the publish lock.

    A restore from a backup raises the epoch.
    """

    __tablename__ = "outbox_head"

    id: int = Field(default=1, primary_key=True)
    epoch: int = 1
    position: int = Field(default=0, sa_type=BigInteger)


class Thing(SQLModel):
    """The latest fact of each thing: what a new fact is compared with."""

    __tablename__ = "things"

    kind: str = Field(primary_key=True, sa_type=Text)
    key: str = Field(primary_key=True, sa_type=Text)
    subject: str = Field(sa_type=Text)
    revision: int = Field(sa_type=BigInteger)
    body: dict[str, Any] = Field(sa_type=JSONB)


class OutboxRow(SQLModel):
    """The journal of facts, kept for ever: `body` is byte for byte what is published on `subject`."""

    __tablename__ = "outbox"

    position: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    subject: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    correlation: str | None = Field(default=None, sa_type=Text)
    """With the next: the way of the event behind it, which goes on in the message's headers."""
    traceparent: str | None = Field(default=None, sa_type=Text)


class NoticeRow(SQLModel):
    """What must be published at least once and is then forgotten: receipts, announcements of dead letters."""

    __tablename__ = "notices"

    id: int | None = Field(default=None, primary_key=True, sa_type=BigInteger)
    subject: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    correlation: str | None = Field(default=None, sa_type=Text)
    traceparent: str | None = Field(default=None, sa_type=Text)


class Heard(SQLModel):
    """Per stream, the sequence up to which every fact is applied here: advanced together with the data."""

    __tablename__ = "heard"

    stream: str = Field(primary_key=True, sa_type=Text)
    position: int = Field(default=0, sa_type=BigInteger)
    last: str | None = Field(default=None, sa_type=Text)
    """Which fact was applied there, as `fingerprint` has it; it says nothing when its position is another one."""


class Position(NamedTuple):
    """A place in a service's journal of facts."""

    epoch: int
    position: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A message to publish at least once: `body` is written as JSON on `subject`."""

    subject: str
    body: Mapping[str, Any]
    way: Way | None = None
    """Of what it answers; None: of what is being handled."""


async def publish_lock(session: AsyncSession) -> Position:
    """Take the publish lock until the transaction ends. It must be the last lock that a transaction takes, but for the
    audit trail's.

    Raises LookupError when the migration has not made the head's row.
    """
    row = (await session.execute(text("SELECT epoch, position FROM outbox_head WHERE id = 1 FOR UPDATE"))).first()
    if row is None:
        raise LookupError("outbox_head has no row: run the migrations")
    return Position(row.epoch, row.position)


async def publish(session: AsyncSession, service: str, facts: Sequence[Fact]) -> Position:
    """Write the facts that say something new to the journal, and say how far the journal then reaches.

    A fact whose data equals what was last published of the same thing is left out; of several facts of one thing the last one
    counts. The position answers also when nothing changed: what the caller saw is at or before it. Takes the publish lock.
    Raises ValueError for a fact over MAX_BYTES or with an impossible address.
    """
    head = await publish_lock(session)
    latest = {(fact.kind, fact.key): fact for fact in facts}
    if not latest:
        return head
    data = {thing: fact.data.model_dump_json() for thing, fact in latest.items()}
    changed = await session.execute(
        text(
            """
            INSERT INTO things AS known (kind, key, subject, revision, body)
            SELECT kind, key, subject, 1, CAST(body AS jsonb)
            FROM unnest(CAST(:kinds AS text[]), CAST(:keys AS text[]), CAST(:subjects AS text[]), CAST(:bodies AS text[]))
                 AS said (kind, key, subject, body)
            ON CONFLICT (kind, key) DO UPDATE
            SET subject = excluded.subject, revision = known.revision + 1, body = excluded.body
            WHERE (known.subject, known.body) IS DISTINCT FROM (excluded.subject, excluded.body)
            RETURNING kind, key, revision
            """
        ),
        {
            "kinds": [kind for kind, _ in latest],
            "keys": [key for _, key in latest],
            "subjects": [fact.address for fact in latest.values()],
            "bodies": [data[thing] for thing in latest],
        },
    )
    revisions = {(row.kind, row.key): row.revision for row in changed}
    said = [(fact, revisions[thing]) for thing, fact in latest.items() if thing in revisions]
    if not said:
        return head
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    bodies = []
    for position, (fact, revision) in enumerate(said, head.position + 1):
        around = to_json(
            {
                "specversion": "1.0",
                "id": f"{head.epoch}-{position}",
                "source": f"/services/{service}",
                "type": fact.type,
                "subject": fact.key,
                "time": now,
                "datacontenttype": "application/json",
                "epoch": head.epoch,
                "revision": revision,
                **({"cause": fact.cause} if fact.cause is not None else {}),
            }
        ).decode()
        body = f'{around[:-1]},"data":{data[fact.kind, fact.key]}}}'  # which is JSON by now
        bodies.append(_publishable(_FACT_SUBJECT, fact.address, body))
    await session.execute(
        text(
            """
            INSERT INTO outbox (position, subject, body, correlation, traceparent)
            SELECT :position + n, subject, body, correlation, traceparent
            FROM unnest(CAST(:subjects AS text[]), CAST(:bodies AS text[]), CAST(:ids AS text[]), CAST(:traces AS text[]))
                 WITH ORDINALITY AS said (subject, body, correlation, traceparent, n)
            """
        ),
        {
            "position": head.position,
            "subjects": [fact.address for fact, _ in said],
            "bodies": bodies,
            **_ways([correlation.leading_to(fact.cause) for fact, _ in said]),
        },
    )
    reached = head.position + len(said)
    await session.execute(text("UPDATE outbox_head SET position = :reached WHERE id = 1"), {"reached": reached})
    session.info["outbox"] = True
    return Position(head.epoch, reached)


async def notify(session: AsyncSession, notices: Sequence[Notice]) -> None:
    """Have notices published after the commit: each at least once, those of one call in their order.

    Raises ValueError for a notice over MAX_BYTES or on an impossible subject.
    """
    if not notices:
        return
    bodies = [_publishable(_NOTICE_SUBJECT, notice.subject, _json(notice.body)) for notice in notices]
    await session.execute(
        text(
            """
            INSERT INTO notices (subject, body, correlation, traceparent)
            SELECT subject, body, correlation, traceparent
            FROM unnest(CAST(:subjects AS text[]), CAST(:bodies AS text[]), CAST(:ids AS text[]), CAST(:traces AS text[]))
                 WITH ORDINALITY AS said (subject, body, correlation, traceparent, n)
            ORDER BY n
            """
        ),
        {
            "subjects": [notice.subject for notice in notices],
            "bodies": bodies,
            **_ways([notice.way or correlation.here() for notice in notices]),
        },
    )
    session.info["outbox"] = True


async def current_position(session: AsyncSession) -> int:
    """How far this service's own journal of facts reaches."""
    return int((await session.execute(text("SELECT position FROM outbox_head WHERE id = 1"))).scalar_one())


def fingerprint(position: int, body: bytes) -> str:
    """Of a fact at its position: the same for a stream that was made anew from the same journal, and for no other."""
    return f"{position} {sha256(body).hexdigest()}"


async def heard_positions(session: AsyncSession) -> dict[str, int]:
    """Per stream that was ever heard, the position up to which all of it is applied."""
    rows = await session.execute(text("SELECT stream, position FROM heard ORDER BY stream"))
    return {row.stream: row.position for row in rows}


def _ways(ways: Sequence[Way | None]) -> dict[str, list[str | None]]:
    return {
        "ids": [way.correlation if way else None for way in ways],
        "traces": [way.traceparent if way else None for way in ways],
    }


def _publishable(subjects: re.Pattern[str], subject: str, body: str) -> str:
    if not subjects.fullmatch(subject):
        raise ValueError("this subject cannot be published on")
    if len(body.encode()) > MAX_BYTES:
        raise ValueError(f"a message on {subject} is over {MAX_BYTES} bytes")
    return body


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
