"""The floor: the same hops on the same stack (FastStream, SQLAlchemy), one message and one commit at a time, deciding nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from faststream.middlewares import AckPolicy
from faststream.nats import JStream, NatsBroker, NatsMessage, PullSub
from faststream.nats.security import NatsCredentials
from nats.js.api import StreamConfig
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from bench.bare import TABLES
from bench.program import connect, credentials
from services.standalone import Standalone

INTAKE, FACTS = "floor.intake", "floor.facts"
UPSERT = """
    INSERT INTO {table} (subject, body) VALUES (:subject, CAST(:body AS jsonb))
    ON CONFLICT (subject) DO UPDATE SET body = excluded.body
"""


async def floor(sampan: Standalone, events: Sequence[bytes]) -> float:
    """Seconds for these events: each is a message, a commit of its rows, a fact, and a commit at either hearer."""
    engine = create_async_engine(
        sampan.postgres.url("postgres"), connect_args={"server_settings": {"search_path": "floor"}}
    )
    async with engine.begin() as database:
        for statement in ("DROP SCHEMA IF EXISTS floor CASCADE", "CREATE SCHEMA floor", *TABLES.strip().split("\n")):
            await database.execute(text(statement))
    connection = await connect(sampan)
    js = connection.jetstream(timeout=60)
    await js.add_stream(StreamConfig(name="FLOOR-INTAKE", subjects=[INTAKE]))
    await js.add_stream(StreamConfig(name="FLOOR-FACTS", subjects=[f"{FACTS}.>"]))
    broker = NatsBroker(sampan.nats.url, **_credentials(sampan), logger=None)
    heard = {"certification": 0, "reporting": 0}
    done = asyncio.Event()

    async def take(body: bytes, message: NatsMessage) -> None:
        place = message.raw_message.metadata.sequence.stream
        about = {"subject": f"thing-{place}", "body": body.decode()}
        async with engine.begin() as database:
            await database.execute(text("INSERT INTO events (id, body) VALUES (:subject, CAST(:body AS jsonb))"), about)
            await database.execute(text(UPSERT.format(table="things")), about)
            await database.execute(text("INSERT INTO outbox (subject, body) VALUES (:subject, :body)"), about)
        await js.publish(f"{FACTS}.{place}", body)
        await message.ack()

    def hear(table: str) -> Callable[[bytes, NatsMessage], Awaitable[None]]:
        async def project(body: bytes, message: NatsMessage) -> None:
            about = {"subject": message.raw_message.subject, "body": body.decode()}
            async with engine.begin() as database:
                await database.execute(text(UPSERT.format(table=table)), about)
            await message.ack()
            heard[table] += 1
            if set(heard.values()) == {len(events)}:
                done.set()

        return project

    subscribe(broker, INTAKE, "FLOOR-INTAKE", "enrolment", take)
    for table in heard:
        subscribe(broker, f"{FACTS}.>", "FLOOR-FACTS", table, hear(table))
    try:
        await broker.start()
        start = time.perf_counter()
        for event in events:
            await js.publish(INTAKE, event)
        await asyncio.wait_for(done.wait(), 600)
        return time.perf_counter() - start
    finally:
        await broker.stop()
        for stream in ("FLOOR-INTAKE", "FLOOR-FACTS"):
            await js.delete_stream(stream)
        await connection.close()
        async with engine.begin() as database:
            await database.execute(text("DROP SCHEMA floor CASCADE"))
        await engine.dispose()


def subscribe(broker: NatsBroker, subject: str, stream: str, durable: str, handler: Any) -> None:
    """Have a handler called for one message at a time."""
    broker.subscriber(
        subject,
        stream=JStream(stream, declare=False),
        durable=durable,
        decoder=_as_it_came,
        ack_policy=AckPolicy.MANUAL,
        pull_sub=PullSub(batch_size=1, timeout=5),
    )(handler)


async def _as_it_came(message: NatsMessage) -> bytes:
    return message.body


def _credentials(sampan: Standalone) -> dict[str, Any]:
    return {"security": NatsCredentials.from_raw(credentials(sampan))}
