"""Bare loops: the same messages and rows over the same hops, deciding nothing. One after the other, on the program's own servers.

They write as many rows as the program wrote, but for one in a hundred that meets itself in a statement. What they leave out
is in the program's disfavour: HTTP, reading, validating.
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
from services.eventfiles import ServiceName
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
        services: Sequence[tuple[ServiceName, str]] = (("enrolment", "ENROLMENT"), ("certification", "CERTIFICATION"))
        for service, stream in services:
            bodies = load.distinct(service)
            await _write(database, bodies, facts[stream], service, moved.further[service])
        seconds["rows of events and facts"] = time.perf_counter() - start

        start = time.perf_counter()
        for stream, them in facts.items():
            await js.add_stream(StreamConfig(name=f"BARE-{stream}", subjects=[f"bare.{stream}.>"], allow_atomic=True))
            await _publish(connection, stream, them)
        seconds["atomic batches"] = time.perf_counter() - start

        start = time.perf_counter()
        counted, rows = len(facts["ENROLMENT"]), moved.further["reporting"]
        with_enrolment = len(rows) * counted // (counted + len(facts["CERTIFICATION"]))
        for hearer, stream, further in (
            ("certification", "ENROLMENT", []),
            ("reporting", "ENROLMENT", rows[:with_enrolment]),
            ("reporting", "CERTIFICATION", rows[with_enrolment:]),
        ):
            await _hear(js, database, hearer, stream, len(facts[stream]), further)
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
    CREATE TABLE enrolment_further (subject text PRIMARY KEY, body text);
    CREATE TABLE certification_further (subject text PRIMARY KEY, body text);
    CREATE TABLE reporting_further (subject text PRIMARY KEY, body text);
"""
UPSERT = """
    INSERT INTO {table} (subject, body) SELECT * FROM unnest($1::text[], $2::{kind}[])
    ON CONFLICT (subject) DO UPDATE SET body = excluded.body
"""


async def _write(
    database: Any, posts: Sequence[Sequence[bytes]], facts: Sequence[Fact], service: str, further: Sequence[Fact]
) -> None:
    """One transaction for each post: its events, its share of the facts' states, of the outbox and of all further rows."""
    for place, events in enumerate(posts):
        share = _share(facts, place, len(posts))
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
            await _upsert(database, f"{service}_further", _every(further, place, len(posts)), "text")


def _share(rows: Sequence[Fact], place: int, shares: int) -> Sequence[Fact]:
    return rows[place * len(rows) // shares : (place + 1) * len(rows) // shares]


def _every(rows: Sequence[Fact], place: int, shares: int) -> Sequence[Fact]:
    """A share of rows of which many are the same one again, near each other: one statement would write these once."""
    return rows[place::shares]


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


async def _hear(js: Any, database: Any, hearer: str, stream: str, messages: int, further: Sequence[Fact]) -> None:
    """One transaction for each batch: a row for each fact, and its share of all further rows."""
    prefix = f"bare.{stream}."
    config = ConsumerConfig(durable_name=hearer, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=FETCH)
    subscription = await js.pull_subscribe(f"{prefix}>", hearer, stream=f"BARE-{stream}", config=config)
    batches, place = -(-messages // FETCH), 0
    while messages:
        batch = await subscription.fetch(min(FETCH, messages), timeout=5)
        async with database.transaction():
            await _upsert(database, hearer, [(one.subject.removeprefix(prefix), one.data.decode()) for one in batch])
            if further and place < batches:
                await _upsert(database, f"{hearer}_further", _every(further, place, batches), "text")
                place += 1
        for one in batch:
            await one.ack()
        messages -= len(batch)


async def _upsert(database: Any, table: str, facts: Sequence[Fact], kind: str = "jsonb") -> None:
    latest = dict(facts)  # one statement may not touch a row twice
    await database.execute(UPSERT.format(table=table, kind=kind), list(latest), list(latest.values()))
