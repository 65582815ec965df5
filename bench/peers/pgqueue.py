"""A queue in PostgreSQL alone: `pgqueuer` (FOR UPDATE SKIP LOCKED, NOTIFY), as its documentation shows a producer and a worker.

The producer hands in what one POST would bring as one batch of jobs; the worker takes up to a hundred at a time, each in a
transaction of its own, ten of them abreast.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from bench.judge import Held
from bench.peers.tables import SCHEMA, held, take

BATCH, WORKER_BATCH, ABREAST = 500, 100, 10
PATIENCE = 1800.0
SCHEMA_NAME = "pgqueuer"


async def run(url: str, bodies: Sequence[bytes]) -> tuple[float, Held]:
    """Seconds for all of it, and what is held then."""
    of_schema: dict[str, Any] = {"server_settings": {"search_path": SCHEMA_NAME}}
    producer, worker = await asyncpg.connect(url, **of_schema), await asyncpg.connect(url, **of_schema)
    pool = await asyncpg.create_pool(url, min_size=ABREAST, max_size=ABREAST, **of_schema)
    try:
        await producer.execute(SCHEMA.format(schema=SCHEMA_NAME))
        queries = Queries(AsyncpgDriver(producer))
        await queries.install()
        queue = PgQueuer(AsyncpgDriver(worker))
        rules: dict[str, str] = {}
        done, all_done = 0, asyncio.Event()

        @queue.entrypoint("event")
        async def process(job: Job) -> None:
            nonlocal done
            async with pool.acquire() as database:
                await take(database, job.payload or b"", rules)
            done += 1
            if done == len(bodies):
                all_done.set()

        began = time.perf_counter()
        working = asyncio.create_task(queue.run(batch_size=WORKER_BATCH))
        for start in range(0, len(bodies), BATCH):
            batch: list[bytes | None] = list(bodies[start : start + BATCH])
            await queries.enqueue(["event"] * len(batch), batch, [0] * len(batch))
        waiting = asyncio.create_task(all_done.wait())
        finished, _ = await asyncio.wait({working, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        seconds = time.perf_counter() - began
        if waiting not in finished:
            raise RuntimeError(f"pgqueuer took {done} of {len(bodies)} events") from (
                working.exception() if working in finished else None
            )
        queue.shutdown.set()
        await working
        return seconds, await held(producer)
    finally:
        await pool.close()
        await worker.close()
        await producer.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")
        await producer.close()
