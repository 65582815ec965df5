"""A worker on Redis Streams in the style of Open edX's event bus (`edx-event-bus-redis`): one message read by a consumer group,
handled in a transaction of its own, acknowledged; then the next.

Redis runs with `appendonly yes` and `appendfsync always`, as the broker that it stands for syncs each write, too.
"""

import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
from redis.asyncio import Redis

from bench.judge import Held
from bench.peers.tables import SCHEMA, held, take

SCHEMA_NAME, STREAM, GROUP, CONSUMER = "redis_streams", "events", "reporting", "one"
BATCH = 500
START_SECONDS = 10.0


async def run(url: str, bodies: Sequence[bytes]) -> tuple[float, Held]:
    """Seconds for all of it, and what is held then."""
    database = await asyncpg.connect(url)
    with _server() as address:
        producer, consumer = Redis(unix_socket_path=address), Redis(unix_socket_path=address)
        try:
            await _until_it_answers(producer)
            await database.execute(SCHEMA.format(schema=SCHEMA_NAME))
            await producer.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
            began = time.perf_counter()
            producing = asyncio.create_task(_produce(producer, bodies))
            rules: dict[str, str] = {}
            for _ in bodies:
                found: Any = await consumer.xreadgroup(GROUP, CONSUMER, {STREAM: ">"}, count=1, block=60_000)
                ((_, ((message, fields),)),) = found
                await take(database, fields[b"event"], rules)
                await consumer.xack(STREAM, GROUP, message)
            await producing
            return time.perf_counter() - began, await held(database)
        finally:
            await producer.aclose()
            await consumer.aclose()
            await database.execute(f"DROP SCHEMA IF EXISTS {SCHEMA_NAME} CASCADE")
            await database.close()


async def _produce(redis: Redis, bodies: Sequence[bytes]) -> None:
    for start in range(0, len(bodies), BATCH):
        async with redis.pipeline(transaction=False) as pipeline:
            for body in bodies[start : start + BATCH]:
                pipeline.xadd(STREAM, {"event": body})
            await pipeline.execute()


@contextmanager
def _server() -> Iterator[str]:
    program = shutil.which("redis-server")
    assert program
    with tempfile.TemporaryDirectory(prefix="sampan-bench-") as folder:
        address = str(Path(folder) / "redis.sock")
        options = {"port": "0", "unixsocket": address, "dir": folder, "save": "", "appendonly": "yes"}
        options |= {"appendfsync": "always", "logfile": str(Path(folder) / "redis.log")}
        given = [part for name, value in options.items() for part in (f"--{name}", value)]
        server = subprocess.Popen([program, *given])  # noqa: S603
        try:
            yield address
        finally:
            server.terminate()
            server.wait()


async def _until_it_answers(redis: Redis) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            await redis.ping()
        except OSError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.02)
        else:
            return
