"""Bare loops: the same messages and rows over the same hops, deciding nothing. One after the other, on the program's own servers.

What they leave out is in the program's disfavour: HTTP, reading and validating, the receipts' history, the cube.
"""

import json
import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import asyncpg
from nats.js.api import AckPolicy, ConsumerConfig, StreamConfig

from bench.load import Load
from bench.program import Moved, connect, database_url
from services.standalone import Standalone

BATCH = 1000  # messages of an atomic batch: the server's limit
FETCH = 500

Fact = tuple[str, str]


async def bare(sampan: Standalone, load: Load, moved: Moved) -> dict[str, float]:
    """Seconds of each loop."""
    database = await asyncpg.connect(database_url(sampan))
    await database.execute("DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare; SET search_path TO bare")
    connection = await connect(sampan)
    js = connection.jetstream(timeout=60)
    seconds: dict[str, float] = {}
    try:
        await database.execute(TABLES)
        facts = {stream: list(them) for stream, them in moved.facts.items()}
        start = time.perf_counter()
        for service, stream in (("enrolment", "ENROLMENT"), ("certification", "CERTIFICATION")):
            bodies = [post.events for post in load.posts if post.service == service]
            await _write(database, bodies, facts[stream])
        seconds["rows of events and facts"] = time.perf_counter() - start

        start = time.perf_counter()
        for stream, them in facts.items():
            await js.add_stream(StreamConfig(name=f"BARE-{stream}", subjects=[f"bare.{stream}.>"], allow_atomic=True))
            await _publish(connection, stream, them)
        seconds["atomic batches"] = time.perf_counter() - start

        start = time.perf_counter()
        for hearer, stream in (
            ("certification", "ENROLMENT"),
            ("reporting", "ENROLMENT"),
            ("reporting", "CERTIFICATION"),
        ):
            await _hear(js, database, hearer, stream, len(facts[stream]))
        seconds["fetched, upserted, acked"] = time.perf_counter() - start
    finally:
        for stream in moved.facts:
            await js.delete_stream(f"BARE-{stream}")
        await database.execute("DROP SCHEMA bare CASCADE")
        await database.close()
        await connection.close()
    return seconds


TABLES = """
    CREATE TABLE events (place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text UNIQUE, body jsonb);
    CREATE TABLE things (subject text PRIMARY KEY, body jsonb);
    CREATE TABLE outbox (position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, subject text, body text);
    CREATE TABLE certification (subject text PRIMARY KEY, body jsonb);
    CREATE TABLE reporting (subject text PRIMARY KEY, body jsonb);
"""
UPSERT = """
    INSERT INTO {table} (subject, body) SELECT * FROM unnest($1::text[], $2::jsonb[])
    ON CONFLICT (subject) DO UPDATE SET body = excluded.body
"""


async def _write(database: Any, posts: Sequence[Sequence[bytes]], facts: Sequence[Fact]) -> None:
    """One transaction for each post: its events, its share of the facts' states, the same share of the outbox."""
    for place, events in enumerate(posts):
        share = facts[place * len(facts) // len(posts) : (place + 1) * len(facts) // len(posts)]
        async with database.transaction():
            await database.execute(
                "INSERT INTO events (id, body) SELECT * FROM unnest($1::text[], $2::jsonb[])",
                [uuid4().hex for _ in events],
                [event.decode() for event in events],
            )
            await _upsert(database, "things", share)
            await database.execute(
                "INSERT INTO outbox (subject, body) SELECT * FROM unnest($1::text[], $2::text[])",
                [subject for subject, _ in share],
                [body for _, body in share],
            )


async def _publish(connection: Any, stream: str, facts: Sequence[Fact]) -> None:
    for start in range(0, len(facts), BATCH):
        batch, id_ = facts[start : start + BATCH], uuid4().hex
        for place, (subject, body) in enumerate(batch, 1):
            headers = {"Nats-Batch-Id": id_, "Nats-Batch-Sequence": str(place)}
            if place < len(batch):
                await connection.publish(f"bare.{stream}.{subject}", body.encode(), headers=headers)
                continue
            headers["Nats-Batch-Commit"] = "1"
            answer = await connection.request(f"bare.{stream}.{subject}", body.encode(), 30, headers=headers)
            if json.loads(answer.data).get("error"):
                raise RuntimeError(answer.data)


async def _hear(js: Any, database: Any, hearer: str, stream: str, messages: int) -> None:
    prefix = f"bare.{stream}."
    config = ConsumerConfig(durable_name=hearer, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=FETCH)
    subscription = await js.pull_subscribe(f"{prefix}>", hearer, stream=f"BARE-{stream}", config=config)
    while messages:
        batch = await subscription.fetch(min(FETCH, messages), timeout=5)
        async with database.transaction():
            await _upsert(database, hearer, [(one.subject.removeprefix(prefix), one.data.decode()) for one in batch])
        for one in batch:
            await one.ack()
        messages -= len(batch)


async def _upsert(database: Any, table: str, facts: Sequence[Fact]) -> None:
    latest = dict(facts)  # one statement may not touch a row twice
    await database.execute(UPSERT.format(table=table), list(latest), list(latest.values()))
