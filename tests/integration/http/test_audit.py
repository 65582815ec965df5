"""The audit trail: no row of it can be changed, taken out, put in or moved unnoticed."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.orm import registry
from sqlmodel import SQLModel

from shared import audit
from shared.audit import Act, Audit, Broken, Head
from shared.checking import one_snapshot
from shared.database import Database
from shared.offices import Caller
from tests.servers import PostgresForTests

SECRET = b"\x07" * 32
OFFICER = Caller("/offices/kh/ntti", frozenset({"sending-office"}), "sokha")
ADMINISTRATOR = Caller(None, frozenset(), "administrator", administrator=True)


class Base(SQLModel, registry=registry()):
    pass


class AuditRow(audit.AuditRow, Base, table=True):
    pass


class AuditHead(audit.AuditHead, Base, table=True):
    pass


@pytest.fixture
async def database(postgres: PostgresForTests, scratch_database: str) -> AsyncIterator[Database]:
    postgres.empty_database(scratch_database)
    made = Database(postgres.url("reporting", scratch_database), "reporting")
    async with made.engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    yield made
    await made.close()


@pytest.fixture
async def trail(database: Database) -> Audit:
    """A trail of eight acts."""
    made = Audit(database, SECRET)
    for number in range(1, 5):
        await made.record_alone(
            Act(OFFICER, "events.posted", number=number), Act(ADMINISTRATOR, "office.revoked", "/offices/la/lak")
        )
    return made


async def broken(database: Database, trail: Audit) -> list[Broken]:
    async with database.transaction() as session:
        await one_snapshot(session)
        return [one async for one in trail.verify(session)]


async def head(database: Database, trail: Audit) -> Head:
    async with database.transaction() as session:
        return await trail.head(session)


async def test_acts_are_read_in_their_order_with_who_and_what(database: Database, trail: Audit) -> None:
    async with database.transaction() as session:
        lines = await trail.lines(session, 0, 3, {})
        posted = await trail.lines(session, 3, 10, {"office": OFFICER.source, "subject": None})
    assert [(line.place, line.office, line.officer, line.action, line.subject, line.number) for line in lines] == [
        (1, "/offices/kh/ntti", "sokha", "events.posted", None, 1),
        (2, None, "administrator", "office.revoked", "/offices/la/lak", 1),
        (3, "/offices/kh/ntti", "sokha", "events.posted", None, 2),
    ]
    assert [(line.place, line.number) for line in posted] == [(5, 3), (7, 4)]


async def test_a_trail_that_nobody_touched_is_whole(database: Database, trail: Audit) -> None:
    assert await broken(database, trail) == []
    assert (await head(database, trail)).place == 8


async def test_an_empty_trail_is_whole(database: Database) -> None:
    made = Audit(database, SECRET)
    assert await broken(database, made) == []
    assert (await head(database, made)).place == 0


TAMPERED = {
    "an officer": ("UPDATE audit SET officer = 'dara' WHERE place = 3", ["3"]),
    "an office": ("UPDATE audit SET office = NULL WHERE place = 3", ["3"]),
    "an action": ("UPDATE audit SET action = 'office.registered' WHERE place = 4", ["4"]),
    "a subject": ("UPDATE audit SET subject = '/offices/la/lao' WHERE place = 4", ["4"]),
    "a number": ("UPDATE audit SET number = 1000 WHERE place = 3", ["3"]),
    "a moment": ("UPDATE audit SET time = time - interval '1 microsecond' WHERE place = 3", ["3"]),
    "a digest": ("UPDATE audit SET digest = '\\x00' WHERE place = 3", ["3", "4"]),
    "the last digest": ("UPDATE audit SET digest = '\\x00' WHERE place = 8", ["8", "head"]),
    "a row taken out": ("DELETE FROM audit WHERE place = 3", ["3"]),
    "rows taken out": ("DELETE FROM audit WHERE place BETWEEN 1 AND 5", ["1 to 5"]),
    "the last rows taken out": ("DELETE FROM audit WHERE place > 6", ["7 to 8"]),
    "all rows taken out": ("DELETE FROM audit", ["1 to 8"]),
    "a row taken out and the rest moved up": (
        "DELETE FROM audit WHERE place = 3; UPDATE audit SET place = place - 1 WHERE place > 3",
        ["3", "4", "5", "6", "7", "8"],
    ),
    "a row put in at the end": (
        "INSERT INTO audit SELECT 9, time, office, officer, action, subject, number, digest FROM audit WHERE place = 8",
        ["9", "head"],
    ),
    "a row put in before the first": (
        "INSERT INTO audit SELECT 0, time, office, officer, action, subject, number, digest FROM audit WHERE place = 1",
        ["0", "1"],
    ),
    "two rows exchanged": (
        "UPDATE audit SET place = -place WHERE place IN (3, 5); UPDATE audit SET place = 8 + place WHERE place < 0",
        ["3", "4", "5", "6"],
    ),
    "the head put back": (
        "DELETE FROM audit WHERE place > 6; "
        "UPDATE audit_head SET (place, digest) = (SELECT place, digest FROM audit WHERE place = 6)",
        ["head"],
    ),
    "the head taken out": ("DELETE FROM audit_head", ["head"]),
    "the seal": ("UPDATE audit_head SET seal = '\\x00'", ["head"]),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_nothing_is_changed_unnoticed(database: Database, trail: Audit, what: str) -> None:
    statements, where = TAMPERED[what]
    async with database.transaction() as session:
        for statement in statements.split("; "):
            await session.execute(text(statement))
    assert [one.which for one in await broken(database, trail)] == where


async def test_whoever_has_the_database_alone_cannot_continue_the_chain(database: Database, trail: Audit) -> None:
    stranger = Audit(database, b"\x08" * 32)
    await stranger.record_alone(Act(ADMINISTRATOR, "office.revoked", "/offices/kh/ntti"))
    assert [one.which for one in await broken(database, trail)] == ["9", "head"]


async def test_acts_at_one_time_stand_one_after_the_other(database: Database) -> None:
    made = Audit(database, SECRET)
    await asyncio.gather(*(made.record_alone(Act(OFFICER, "events.posted", number=n)) for n in range(1, 31)))
    assert await broken(database, made) == []
    assert (await head(database, made)).place == 30


async def test_an_act_that_was_rolled_back_is_not_there(database: Database, trail: Audit) -> None:
    async def failing() -> None:
        async with database.transaction() as session:
            await trail.record(session, Act(ADMINISTRATOR, "office.revoked", "/offices/kh/ntti"))
            raise LookupError

    with pytest.raises(LookupError):
        await failing()
    assert (await head(database, trail)).place == 8
    assert await broken(database, trail) == []


def test_a_name_is_no_subject_and_an_unknown_action_none() -> None:
    for subject in ("Sok Dara", "សុខ", "a b", ""):
        with pytest.raises(ValueError, match="id"):
            Act(OFFICER, "office.revoked", subject)
    with pytest.raises(ValueError, match="ACTIONS"):
        Act(OFFICER, "invented.here")
