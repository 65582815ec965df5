"""Comparing what a service holds with what it was made from: its journal with its stream, its rows with the facts it heard.

A check runs while events come in, and never takes what is on its way for a difference: everything in the database is read in one
snapshot, the own stream is compared up to the journal's head in that snapshot, and a stream that is heard up to the position that
the snapshot says is applied. What lies beyond belongs to the next check.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from time import monotonic
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from shared.audit import Head
from shared.bus import Bus
from shared.delivery import Delivery
from shared.events.enrolment import OfficeFact
from shared.events.facts import Version
from shared.offices import KeyRow, OfficeRow, TokenRow
from shared.outbox import heard_positions

SHOWN = 200
"""Differences that an answer names; where there are more, somebody must look at the data themselves."""
BATCH = 200
"""Messages or rows in memory at a time; one may be a megabyte."""
BEHIND_SECONDS = 15.0
"""How long a stream may stand still before its journal's head. One that grows is being filled, perhaps for minutes."""


class Difference(BaseModel):
    """Something that is not as it should be: what kind of thing, which one, and what is wrong with it."""

    what: str
    which: str
    problem: str


class Checked(BaseModel):
    """What a check found. ``compared`` says how many of each there were; ``number`` counts also differences not named.

    ``audit`` is how far the audit trail reaches: write it down elsewhere.
    """

    same: bool
    compared: dict[str, int]
    position: dict[str, int]
    number: int
    differences: list[Difference]
    audit: Head | None = None


class Told(NamedTuple):
    """A thing as the newest fact in a batch tells it, and that fact's sequence."""

    version: Version
    data: Any
    sequence: int


class Findings:
    """Collects what a check compares and finds."""

    def __init__(self) -> None:
        self._compared: Counter[str] = Counter()
        self._position: dict[str, int] = {}
        self._differences: list[Difference] = []
        self._number = 0

    def differs(self, what: str, which: str, problem: str) -> None:
        """Something is not as it should be."""
        self._number += 1
        if len(self._differences) < SHOWN:
            self._differences.append(Difference(what=what, which=which, problem=problem))

    def compared(self, what: str, number: int) -> None:
        """So many more of these were compared."""
        self._compared[what] += number

    def upto(self, stream: str, position: int) -> None:
        """A stream is compared up to there."""
        self._position[stream] = position

    def result(self, audit: Head | None = None) -> Checked:
        return Checked(
            same=not self._number,
            compared=dict(self._compared),
            position=self._position,
            number=self._number,
            differences=self._differences,
            audit=audit,
        )


async def one_snapshot(session: AsyncSession) -> None:
    """Let all that the session reads belong together."""
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))


# --- a service's own journal


async def compare_journal(session: AsyncSession, bus: Bus, findings: Findings, stream: str) -> None:
    """The journal of facts: without gaps up to its head, its last fact of each thing the one that is kept, and the stream its
    copy, message for message. To be called before anything else is read: what the stream has then must be in the snapshot.
    """
    published = await bus.last_sequence(stream)
    head = int((await session.execute(text("SELECT position FROM outbox_head WHERE id = 1"))).scalar_one())
    findings.upto(stream, head)
    if published > head:
        findings.differs("stream", stream, f"ends at {published}, but the journal at {head}")
    published = await _published(session, bus, stream, head)
    if published < head:
        findings.differs("stream", stream, f"ends at {published}, and the journal at {head}")
    matched = 0
    for first in range(1, head + 1, BATCH):
        last = min(first + BATCH - 1, head)
        rows = await session.execute(
            text("SELECT position, subject, body FROM outbox WHERE position BETWEEN :first AND :last"),
            {"first": first, "last": last},
        )
        journal = {row.position: (row.subject, row.body) for row in rows}
        for position in sorted(set(range(first, last + 1)) - journal.keys()):
            findings.differs("journal", f"{stream} {position}", "is missing")
        matched += await _compare_things(session, findings, journal)
        messages = await bus.read(stream, first, min(last, published))
        copies = {message.sequence: (message.subject, message.body) for message in messages}
        for position, (subject, body) in journal.items():
            if position > published:
                continue
            if position not in copies:
                findings.differs("stream", f"{stream} {position}", f"the message on {subject} is missing")
            elif copies[position] != (subject, body.encode()):
                findings.differs("stream", f"{stream} {position}", f"the message on {subject} is not the journal's")
        findings.compared(f"messages of {stream}", len(journal))
    beyond = await session.execute(
        text("SELECT count(*) FROM outbox WHERE NOT position BETWEEN 1 AND :head"), {"head": head}
    )
    if number := beyond.scalar_one():
        findings.differs("journal", stream, f"{number} facts are beyond its head, {head}")
    things = (await session.execute(text("SELECT count(*) FROM things"))).scalar_one()
    findings.compared("things", things)
    if things != matched:
        findings.differs("things", stream, f"{things} are kept, but the journal ends with {matched} of these")


async def _published(session: AsyncSession, bus: Bus, stream: str, head: int) -> int:
    """Where the stream ends: at this head or beyond it, or where it has stood still."""
    before, deadline = -1, 0.0
    while (published := await bus.last_sequence(stream)) < head:
        if published != before:
            before, deadline = published, monotonic() + BEHIND_SECONDS
        elif monotonic() > deadline:
            break
        await session.execute(text("SELECT 1"))  # PostgreSQL ends a transaction in which nothing is asked for long
        await asyncio.sleep(0.1)  # another process may be the one that publishes
    return published


async def _compare_things(session: AsyncSession, findings: Findings, journal: Mapping[int, tuple[str, str]]) -> int:
    """How many of these facts are the last of their thing, and are kept as such."""
    facts = {position: (subject, json.loads(body)) for position, (subject, body) in journal.items()}
    names = {(fact["type"].removesuffix(".v1"), fact["subject"]) for _, fact in facts.values()}
    rows = await session.execute(
        text(
            """
            SELECT kind, key, subject, revision, body FROM things
            JOIN unnest(CAST(:kinds AS text[]), CAST(:keys AS text[])) AS asked (kind, key) USING (kind, key)
            """
        ),
        {"kinds": [kind for kind, _ in names], "keys": [key for _, key in names]},
    )
    things = {(row.kind, row.key): row for row in rows}
    matched = 0
    for position, (subject, fact) in sorted(facts.items()):
        kind, key = fact["type"].removesuffix(".v1"), fact["subject"]
        thing = things.get((kind, key))
        if thing is None or thing.revision < fact["revision"]:
            findings.differs(kind, key, f"its fact at {position} is newer than what is kept as its last one")
        elif thing.revision == fact["revision"]:
            matched += 1
            if (thing.subject, thing.body) != (subject, fact["data"]):
                findings.differs(kind, key, f"its last fact, at {position}, is not what is kept as such")
    return matched


# --- what a service has heard


async def heard_facts(
    session: AsyncSession, bus: Bus, findings: Findings, stream: str
) -> AsyncIterator[list[Delivery]]:
    """Every message of a stream that is applied here, in batches."""
    heard = (await heard_positions(session)).get(stream, 0)
    findings.upto(stream, heard)
    published = await _published(session, bus, stream, heard)
    if published < heard:
        findings.differs("stream", stream, f"ends at {published}, but {heard} facts of it are applied")
    for first in range(1, min(heard, published) + 1, BATCH):
        batch = await bus.read(stream, first, min(first + BATCH - 1, heard, published))
        findings.compared(f"messages of {stream}", len(batch))
        yield batch


def compare_rows(
    findings: Findings, what: str, told: Mapping[str, Told], held: Mapping[str, tuple[Version, Any]]
) -> int:
    """Compare rows with facts in the order of the stream; how many rows are now known to be as the last fact says."""
    matched = 0
    for key, (version, data, sequence) in told.items():
        if key not in held:
            findings.differs(what, key, f"is not held, but fact {sequence} tells of it")
            continue
        there, row = held[key]
        if there < version:
            findings.differs(
                what, key, f"is held as of revision {there.revision}, but fact {sequence} is {version.revision}"
            )
        elif there == version:
            matched += 1
            if row != data:
                findings.differs(what, key, f"is not what fact {sequence} says, though of the same revision")
    return matched


def as_read_now(model: type[BaseModel], data: Any) -> Any:
    """A fact's data as this version reads them: without a field that was added since, they say what its default says.

    Data that are no such fact are answered as they are.
    """
    try:
        return model.model_validate(data).model_dump(mode="json")
    except ValidationError:
        return data


def compare_number(findings: Findings, what: str, rows: int, matched: int) -> None:
    """Rows that no fact has made, or that the stream no longer holds."""
    findings.compared(what, rows)
    if rows != matched:
        findings.differs(what, "all", f"{rows} are held, but the last facts tell of {matched} of these")


def named(findings: Findings, what: str, keys: Collection[str], problem: str) -> None:
    """The same of many."""
    for key in sorted(keys):
        findings.differs(what, key, problem)


async def compare_offices(
    session: AsyncSession,
    findings: Findings,
    office: type[OfficeRow],
    token: type[TokenRow],
    told: Mapping[str, Told],
    key: type[KeyRow] | None = None,
) -> int:
    """Compare offices, their tokens and, in a service that keeps these, their signing keys with what was told of them.

    How many are now known to be as last told.
    """
    rows = await session.execute(select(office).where(col(office.office).in_(told)))
    held: dict[str, tuple[Version, Any]] = {
        row.office: (Version(row.epoch, row.revision), (row.name, row.roles, row.status, set(), set()))
        for row in rows.scalars()
    }
    tokens = await session.execute(select(token).where(col(token.office).in_(told)))
    for row in tokens.scalars():
        if row.office in held:
            held[row.office][1][3].add((row.sha256, row.officer, row.expires))
    if key is not None:
        keys = await session.execute(select(key).where(col(key.office).in_(told)))
        for line in keys.scalars():
            if line.office in held:
                held[line.office][1][4].add((line.key, line.officer, line.expires))
    facts = {name: one._replace(data=_office(one.data, keys=key is not None)) for name, one in told.items()}
    return compare_rows(findings, "office", facts, held)


def _office(fact: OfficeFact, *, keys: bool) -> tuple[Any, ...]:
    tokens = {(line.sha256, line.officer, line.expires) for line in fact.tokens}
    signing = {(line.key, line.officer, line.expires) for line in fact.keys} if keys else set()
    return fact.name, list(fact.roles), fact.status, tokens, signing


async def count(session: AsyncSession, table: str) -> int:
    """How many rows a table of the service has; ``table`` is one of its own names, never a user's word."""
    return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608
