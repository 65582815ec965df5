"""`eventsourcing` on PostgreSQL: an aggregate for each enrolment, an application, and a projection into tables.

As its documentation shows it: a command gets its aggregate from the repository, and saves it; a projection runner follows the
application's sequence, and the projection changes the records and the aggregates and tracks its position in one transaction. The
aggregates are cached, and as there is one writer, no command asks for events that are newer than what is cached.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
from eventsourcing.projection import ProjectionRunner

from bench.judge import Held
from bench.peers.sourced_model import Figures, Offices, Tables, Unit

NAME = "eventsourcing"
CACHED = 40_000
PATIENCE = 1800.0


async def run(url: str, bodies: Sequence[bytes]) -> tuple[float, Held]:
    """Seconds for all of it, and what is held then."""
    address = urlsplit(url)
    database = await asyncpg.connect(url)
    try:
        await database.execute(f"DROP SCHEMA IF EXISTS {NAME} CASCADE; CREATE SCHEMA {NAME}")
        settings = {
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": address.path.removeprefix("/"),
            "POSTGRES_HOST": address.hostname or "",
            "POSTGRES_PORT": str(address.port),
            "POSTGRES_USER": address.username or "",
            "POSTGRES_PASSWORD": unquote(address.password or ""),
            "POSTGRES_SCHEMA": NAME,
            "AGGREGATE_CACHE_MAXSIZE": str(CACHED),
            "AGGREGATE_CACHE_FASTFORWARD": "n",
        }
        seconds, journal = await asyncio.to_thread(_work, settings, bodies)
        certificates = f"SELECT cohort, number, scheme, occupation, level, day, printed FROM {NAME}.certificates"  # noqa: S608
        aggregates = f"SELECT measure, month, country, cohort, value FROM {NAME}.aggregates WHERE value <> 0"  # noqa: S608
        return seconds, Held(
            journal,
            Counter([tuple(row) for row in await database.fetch(certificates)]),
            Counter({tuple(place): value for *place, value in await database.fetch(aggregates)}),
        )
    finally:
        await database.execute(f"DROP SCHEMA IF EXISTS {NAME} CASCADE")
        await database.close()


def _work(settings: dict[str, str], bodies: Sequence[bytes]) -> tuple[float, Counter[Any]]:
    with ProjectionRunner(
        application_class=Offices, projection_class=Figures, view_class=Tables, env=settings
    ) as runner:
        began = time.perf_counter()
        for body in bodies:
            runner.app.take(body)
        runner.wait(runner.app.recorder.max_notification_id(), timeout=PATIENCE)
        seconds = time.perf_counter() - began
        mapper, recorder = runner.app.mapper, runner.app.recorder
        journal: Counter[Any] = Counter()
        start: int | None = 1
        while stored := recorder.select_notifications(start, 1000):
            for event in map(mapper.to_domain_event, stored):
                if isinstance(event, Unit.Heard):
                    said = json.loads(event.body)
                    journal[said["source"], said["id"]] += 1
            start = stored[-1].id + 1
    return seconds, journal
