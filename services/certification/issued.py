"""How far the issuer is: what is public by its standing, and what waits for it."""

import logging

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared.database import Database, is_transient

log = logging.getLogger(__name__)


async def counts(session: AsyncSession) -> tuple[dict[str, int], int]:
    """What is public, by standing, and how many certificates the issuer has to look at."""
    rows = await session.execute(
        text(
            "SELECT status, count(*) AS number FROM attestations WHERE status <> 'prepared' GROUP BY status ORDER BY 1"
        )
    )
    waiting = (await session.execute(text("SELECT count(*) FROM certificates WHERE due"))).scalar_one()
    return {row.status: row.number for row in rows}, waiting


async def documents_by_key(session: AsyncSession) -> dict[int, int]:
    """How many public documents each key has signed."""
    rows = await session.execute(
        text("SELECT key, count(*) AS number FROM attestations WHERE key IS NOT NULL GROUP BY key")
    )
    return {row.key: row.number for row in rows}


async def issuing_metrics(database: Database) -> bytes:
    """In Prometheus' text format; nothing while the database is away."""
    registry = CollectorRegistry()
    attested = Gauge("sampan_attested", "Certificates of which something is public", ["standing"], registry=registry)
    waiting = Gauge("sampan_attestations_waiting", "Certificates that the issuer has to look at", registry=registry)
    try:
        async with database.transaction() as session:
            public, due = await counts(session)
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("the database is away: /metrics does not say what is attested")
        return b""
    for standing, number in public.items():
        attested.labels(standing).set(number)
    waiting.set(due)
    return generate_latest(registry)
