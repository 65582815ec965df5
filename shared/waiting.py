"""What waits, for what, and since when: figures for /metrics, and the SQL that lists of events share."""

import logging
from datetime import UTC, datetime
from typing import Final

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from sqlalchemy import text

from shared.database import Database, is_transient

log = logging.getLogger(__name__)

SINCE: Final = """LATERAL (
    SELECT min(recordedtime) AS since FROM receipts
    WHERE (receipts.source, receipts.id) = (events.source, events.id) AND receipts.number > (
        SELECT coalesce(max(other.number), 0) FROM receipts AS other
        WHERE (other.source, other.id) = (events.source, events.id) AND other.status <> events.status
    )
) AS standing"""
"""Beside ``events``: since when each has had its status, also when what it waits for has changed meanwhile."""


async def waiting_metrics(database: Database, service: str) -> bytes:
    """In Prometheus' text format: how many events wait at this service, by what for, and for how long the oldest has.

    Nothing while the database is away: the process's other metrics are wanted most then.
    """
    registry = CollectorRegistry()
    labels = ("service", "code")
    number = Gauge("sampan_waiting_events", "Events that wait for something", labels, registry=registry)
    oldest = Gauge("sampan_waiting_oldest_seconds", "How long the oldest of them has", labels, registry=registry)
    now = datetime.now(UTC)
    try:
        async with database.transaction() as session:
            rows = await session.execute(
                text(
                    f"""
                    SELECT code, count(*) AS number, min(since) AS since FROM events, {SINCE}
                    WHERE status = 'waiting' GROUP BY code
                    """  # noqa: S608 (a constant)
                )
            )
            for row in rows:
                number.labels(service, row.code).set(row.number)
                oldest.labels(service, row.code).set((now - row.since).total_seconds())
    except Exception as error:
        if not is_transient(error):
            raise
        log.warning("the database is away: /metrics does not say what waits")
        return b""
    return generate_latest(registry)
