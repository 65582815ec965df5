"""A POST of 500 events until it is answered, beside COPY of 500 rows into the same table with the same indexes."""

import asyncio
import time

import asyncpg

from bench.latency import register
from bench.program import Program, database_url, poster
from bench.supply import Supply, hand_in
from services.eventfiles import EVENTS_PER_POST

COPIED = 50_000
"""Rows at most."""
TABLE = "CREATE SCHEMA copying; CREATE TABLE copying.events (LIKE enrolment.events INCLUDING ALL)"


def copying(program: Program, posts: int) -> dict[str, float]:
    """Events a second of either way; when a POST is answered, all of it is on the disk, as after a commit of the COPY."""
    register(program)

    async def take() -> dict[str, float]:
        return {"post": await _posted(program, posts), "copy": await _copied(program)}

    return asyncio.run(take())


async def _posted(program: Program, posts: int) -> float:
    supply = Supply("copying", EVENTS_PER_POST)
    seconds, events = 0.0, 0
    async with poster() as http:
        for _ in range(posts):
            enrolled = supply.cohort()[0]  # with the announcement of their cohort, which goes by itself
            await hand_in(http, program, enrolled.part(0, 1))
            began = time.perf_counter()
            await hand_in(http, program, enrolled.part(1, None))
            seconds += time.perf_counter() - began
            events += len(enrolled.events) - 1
    return events / seconds


async def _copied(program: Program) -> float:
    """Rows of the journal, as they are there."""
    database = await asyncpg.connect(database_url(program.sampan))
    try:
        await database.execute(TABLE)
        rows = await database.fetch("SELECT * FROM enrolment.events ORDER BY place LIMIT $1", COPIED)
        columns = [name for name in rows[0].keys() if name != "place"]  # noqa: SIM118 - a record is no mapping
        records = [tuple(row[name] for name in columns) for row in rows]
        began = time.perf_counter()
        for start in range(0, len(records), EVENTS_PER_POST):
            part = records[start : start + EVENTS_PER_POST]
            await database.copy_records_to_table("events", schema_name="copying", records=part, columns=columns)
        return len(records) / (time.perf_counter() - began)
    finally:
        await database.execute("DROP SCHEMA IF EXISTS copying CASCADE")
        await database.close()
