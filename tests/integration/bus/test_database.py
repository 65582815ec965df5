"""Whose fault an error is, and what is done again."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from time import monotonic

import pytest
from cryptography.exceptions import InvalidTag
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from shared import database as database_module
from shared.database import Database, is_crowded, is_transient
from shared.secrets import derive, seal, unseal
from tests.integration.bus.house import eventually
from tests.servers import PostgresForTests


@pytest.fixture
async def database(postgres: PostgresForTests, scratch_database: str) -> AsyncIterator[Database]:
    postgres.empty_database(scratch_database)
    made = Database(postgres.url("enrolment", scratch_database), "enrolment")
    async with made.transaction() as session:
        await session.execute(text("CREATE TABLE numbers (id int PRIMARY KEY, n int NOT NULL)"))
        await session.execute(text("INSERT INTO numbers VALUES (1, 0), (2, 0)"))
    yield made
    await made.close()


async def _error(database: Database, statement: str) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - which one is what is being tested
        async with database.transaction() as session:
            await session.execute(text(statement))
    return caught.value


@pytest.mark.parametrize(
    ("statement", "transient"),
    [
        ("SELECT pg_terminate_backend(pg_backend_pid())", True),
        ("SELECT * FROM not_migrated_yet", True),
        ("INSERT INTO numbers VALUES (1, 1)", False),
        ("INSERT INTO numbers VALUES (3, NULL)", False),
        ("SELECT 1 / 0", False),
        ("SELECT CAST('x' AS int)", False),
    ],
)
async def test_whose_fault_a_statement_is(database: Database, statement: str, transient: bool) -> None:
    assert is_transient(await _error(database, statement)) is transient


@pytest.mark.parametrize("wrong", ["address", "name", "password"])
async def test_a_database_that_cannot_be_reached_is_not_the_works_fault(postgres: PostgresForTests, wrong: str) -> None:
    url = {
        "address": "postgresql+asyncpg://enrolment:x@127.0.0.1:1/sampan",
        "name": postgres.url("enrolment", "nowhere"),
        "password": postgres.url("enrolment").replace(postgres.password("enrolment"), "wrong"),
    }[wrong]
    database = Database(url, "enrolment")
    with pytest.raises(Exception) as caught:  # noqa: PT011
        await database.ping()
    assert is_transient(caught.value)
    await database.close()


def test_errors_of_the_work_itself() -> None:
    assert not is_transient(ValueError())
    assert not is_transient(KeyError())
    assert is_transient(TimeoutError())
    assert is_transient(ConnectionResetError())


async def test_a_deadlock_is_done_again(database: Database) -> None:
    both = asyncio.Barrier(2)
    tries = 0

    def crossing(first: int, second: int) -> object:
        async def work(session: AsyncSession) -> None:
            nonlocal tries
            tries += 1
            await session.execute(text("UPDATE numbers SET n = n + 1 WHERE id = :id"), {"id": first})
            if tries <= 2:
                await both.wait()
            await session.execute(text("UPDATE numbers SET n = n + 1 WHERE id = :id"), {"id": second})

        return work

    await asyncio.gather(database.run(crossing(1, 2)), database.run(crossing(2, 1)))  # type: ignore[arg-type]
    async with database.transaction() as session:
        assert list((await session.execute(text("SELECT n FROM numbers"))).scalars()) == [2, 2]
    assert tries == 3


async def test_a_hung_database_gives_an_error_unless_there_is_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_SECONDS", 1)
    hurried = Database(database.engine.url.render_as_string(hide_password=False), "enrolment")
    error = await _error(hurried, "SELECT pg_sleep(60)")
    assert is_transient(error)
    async with hurried.unhurried() as session:
        await session.execute(text("SELECT pg_sleep(1.2)"))
    await hurried.close()


async def test_an_error_does_not_repeat_the_row(database: Database) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO numbers VALUES (:id, :n)"), {"id": 1, "n": 4711})
    assert "4711" not in str(caught.value)


async def test_one_holds_a_lock_and_loses_it_with_its_session(database: Database, postgres: PostgresForTests) -> None:
    async with database.alone("x") as first:
        assert first is not None
        async with database.alone("x") as second, database.alone("y") as other:
            assert second is None
            assert other is not None
    async with database.alone("x") as again:
        assert again is not None


async def test_who_holds_a_lock_and_rests_too_long_loses_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a process that is paused: the kernel answers for it, so its connection lives on."""
    monkeypatch.setattr(database_module, "IDLE_HOLDER_SECONDS", 1)
    async with database.alone("x") as paused:
        assert paused is not None
        for _ in range(4):  # whoever uses it keeps it
            await asyncio.sleep(0.4)
            await paused.scalar(text("SELECT 1"))

        async def taken_over() -> bool:
            async with database.alone("x") as other:
                return other is not None

        await eventually(taken_over)
        with pytest.raises(DBAPIError) as late:
            await paused.scalar(text("SELECT 1"))
        assert is_transient(late.value)
    async with database.alone("x"), database.alone("x") as refused:
        assert refused is None
    async with database.engine.connect() as back_in_the_pool:
        assert await back_in_the_pool.scalar(text("SHOW idle_session_timeout")) == "0"


async def test_a_database_that_hangs_is_not_waited_for(database: Database, postgres: PostgresForTests) -> None:
    """Its connections live, and nothing comes: paused, or its disk does not answer."""
    await database.ping()
    async with database.transaction() as session:
        backend = await session.scalar(text("SELECT pg_backend_pid()"))
    assert backend is not None
    os.kill(backend, signal.SIGSTOP)
    try:
        began = monotonic()
        await database.ping()
        async with database.transaction() as session:
            assert await session.scalar(text("SELECT pg_backend_pid()")) != backend
        assert monotonic() - began < 10
    finally:
        os.kill(backend, signal.SIGCONT)


async def test_a_full_pool_is_not_a_database_that_does_not_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "CONNECT_SECONDS", 1)
    small = Database(database.engine.url.render_as_string(hide_password=False), "enrolment")
    async with AsyncExitStack() as slow:
        for _ in range(20):
            session = await slow.enter_async_context(small.transaction())
            await session.execute(text("SELECT 1"))
        with pytest.raises(Exception) as crowded:  # noqa: PT011 - which one is what is being tested
            async with small.transaction() as session:
                await session.execute(text("SELECT 1"))
        assert is_crowded(crowded.value)
        await small.ping()
    await small.close()


def test_what_is_sealed_opens_only_with_its_key_and_in_its_place() -> None:
    key = derive(b"s" * 32, "dead letters")
    sealed = seal(key, "សុខា".encode(), b"INTAKE/1")
    assert unseal(key, sealed, b"INTAKE/1").decode() == "សុខា"
    assert sealed != seal(key, "សុខា".encode(), b"INTAKE/1")
    assert derive(b"s" * 32, "tokens") != key
    for other_key, place in ((derive(b"s" * 32, "tokens"), b"INTAKE/1"), (key, b"INTAKE/2")):
        with pytest.raises(InvalidTag):
            unseal(other_key, sealed, place)
