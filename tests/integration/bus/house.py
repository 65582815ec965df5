"""A publisher and its listeners on the real servers, put together as the services do it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic
from typing import TypeVar

from nats.js import JetStreamContext
from nats.js.errors import NotFoundError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared import deadletters, outbox
from shared.bus import Bus, Delivery
from shared.database import Database
from shared.deadletters import DeadLetters
from shared.events.codes import Model
from shared.events.facts import Fact
from shared.outbox import Notice, Position, notify, publish
from shared.relay import Relay
from tests.servers import NatsForTests, PostgresForTests

T = TypeVar("T")
OWNED = ("INTAKE", "RECEIPTS", "ENROLMENT", "DEADLETTERS")


class Base(SQLModel, registry=registry()):
    """The tables of one service."""


class OutboxHead(outbox.OutboxHead, Base, table=True):
    pass


class Thing(outbox.Thing, Base, table=True):
    pass


class OutboxRow(outbox.OutboxRow, Base, table=True):
    pass


class NoticeRow(outbox.NoticeRow, Base, table=True):
    pass


class Heard(outbox.Heard, Base, table=True):
    pass


class DeadLetterRow(deadletters.DeadLetterRow, Base, table=True):
    pass


class Applied(Base, table=True):
    """What handlers under test did: one row per message and time of handling."""

    id: int | None = Field(default=None, primary_key=True)
    body: str


class Said(Model):
    """The data of a fact under test."""

    n: int
    padding: str = ""


def fact(key: str, n: int = 1, padding: str = "") -> Fact:
    return Fact("cohort", key, f"enrolment.cohort.kh.{key}", Said(n=n, padding=padding), cause="/offices/kh/ntti/e1")


async def eventually(check: Callable[[], Awaitable[T] | T], seconds: float = 15.0) -> T:
    """What `check` answers once it is true; the last answer is in the failure."""
    deadline = monotonic() + seconds
    while True:
        answer = check()
        if isinstance(answer, Awaitable):
            answer = await answer
        if answer:
            return answer
        assert monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)


class House:
    """Everything that one test runs; each service has its own schema, as in the program."""

    def __init__(self, postgres: PostgresForTests, server: NatsForTests, name: str, stack: AsyncExitStack) -> None:
        self.postgres = postgres
        self.server = server
        self.name = name
        self.stack = stack
        self.buses: list[Bus] = []

    async def database(self, service: str) -> Database:
        """The service's database; its tables are made at the first call."""
        database = Database(self.postgres.url(service, self.name), service)
        self.stack.push_async_callback(database.close)
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            await connection.execute(text("INSERT INTO outbox_head VALUES (1, 1, 0) ON CONFLICT DO NOTHING"))
        return database

    def bus(self, service: str, database: Database, owns: Sequence[str] = ()) -> Bus:
        bus = Bus(
            service,
            database,
            DeadLetters(service, b"s" * 32),
            url=self.server.url,
            credentials=self.server.keys.service_credentials(service),
            owns=owns,
        )
        self.buses.append(bus)
        return bus

    async def run(self, bus: Bus) -> Bus:
        """Run a bus until the test ends, and return when it is ready."""
        await self.stack.enter_async_context(bus.running())
        await eventually(lambda: not bus.health())
        return bus

    async def publisher(self) -> tuple[Database, Bus, Relay]:
        """Enrolment, as far as the river knows it."""
        database = await self.database("enrolment")
        bus = await self.run(self.bus("enrolment", database, OWNED))
        relay = Relay(database, bus, service="enrolment", stream="ENROLMENT")
        await self.stack.enter_async_context(relay.running())
        return database, bus, relay

    @asynccontextmanager
    async def js(self) -> AsyncIterator[JetStreamContext]:
        """A connection of the test's own."""
        connection = await self.server.connect(max_reconnect_attempts=-1)
        try:
            yield connection.jetstream(timeout=5)
        finally:
            await connection.close()

    def end_lock_sessions(self) -> None:
        """Whoever holds a lock loses it, with its session."""
        self.postgres.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON pg_database.oid = database "
            "WHERE locktype = 'advisory' AND datname = current_database()",
            self.name,
        )

    async def same(self, database: Database) -> bool:
        """Whether the stream is the journal, message for message."""
        async with self.js() as js:
            return await stream(js) == await journal(database)

    async def intake(self, *bodies: str) -> None:
        """What offices send."""
        async with self.js() as js:
            for body in bodies:
                await js.publish("intake.enrolment.kh.ntti", body.encode())


async def say(database: Database, *facts: Fact) -> Position:
    return await database.run(lambda session: publish(session, "enrolment", facts))


async def tell(database: Database, *subjects: str) -> None:
    await database.run(lambda session: notify(session, [Notice(subject, {"code": "ok"}) for subject in subjects]))


async def journal(database: Database) -> list[tuple[int, str, str]]:
    async with database.transaction() as session:
        rows = await session.execute(text("SELECT position, subject, body FROM outbox ORDER BY position"))
        return [(row.position, row.subject, row.body) for row in rows]


async def stream(js: JetStreamContext, name: str = "ENROLMENT") -> list[tuple[int, str, str]]:
    """Every message of a stream, as the journal would have it."""
    try:
        info = await js.stream_info(name)
    except NotFoundError:
        return []
    if info.state.messages == 0:
        return []
    found = []
    for sequence in range(info.state.first_seq, info.state.last_seq + 1):
        message = await js.get_msg(name, sequence)
        found.append((sequence, message.subject or "", (message.data or b"").decode()))
    return found


async def apply(session: AsyncSession, deliveries: Sequence[Delivery]) -> None:
    """A handler that keeps the bodies it got."""
    session.add_all([Applied(body=delivery.body.decode()) for delivery in deliveries])


async def applied(database: Database) -> list[str]:
    async with database.transaction() as session:
        return list((await session.execute(text("SELECT body FROM applied ORDER BY id"))).scalars())


async def count(database: Database, table: str) -> int:
    async with database.transaction() as session:
        return int((await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())  # noqa: S608


def numbers(bodies: Sequence[str]) -> list[int]:
    """The `n` of each fact."""
    return [json.loads(body)["data"]["n"] for body in bodies]


async def none(database: Database, table: str) -> bool:
    return await count(database, table) == 0


async def reached(js: JetStreamContext, sequence: int, name: str = "ENROLMENT") -> bool:
    """Whether the stream has come that far."""
    try:
        return (await js.stream_info(name)).state.last_seq >= sequence
    except NotFoundError:
        return False
