"""Gauges of what waits in a service: facts and notices to be published, dead letters to be looked at.

Looked up in the background, so that /metrics answers also while the database is away; then it tells the last that was known.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge
from sqlalchemy import text

from shared.bus import Bus
from shared.database import Database
from shared.deadletters import describe
from shared.outbox import current_position
from shared.tasks import background

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0

OUTBOX = Gauge("sampan_outbox_depth", "Facts that are committed and not yet in the service's stream", ["service"])
NOTICES = Gauge("sampan_notices_depth", "Receipts and announcements that are not yet published", ["service"])
DEAD_LETTERS = Gauge("sampan_dead_letters", "Dead letters that are kept, to be replayed or to expire", ["service"])


class Depths:
    """Keeps the gauges of one service, in each of its processes: of several, any one tells the truth."""

    def __init__(self, database: Database, bus: Bus, stream: str | None) -> None:
        """``stream`` is where the service's facts go; None for a service that tells none."""
        self._database = database
        self._bus = bus
        self._stream = stream
        self._published: int | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look every few seconds until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        away = False
        while True:
            try:
                await self.look()
                away = False
            except Exception as error:
                if not away:
                    log.warning("the gauges stand still: %s", describe(error))
                away = True
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. Raises when the database is away."""
        if self._stream is not None and self._bus.connected:
            # Before the journal, which can then only be ahead of it. While the broker is away, the last that was known.
            try:
                self._published = await self._bus.last_sequence(self._stream)
            except Exception as error:
                log.debug("%s does not tell its end: %s", self._stream, describe(error))
        async with self._database.transaction() as session:
            position = 0 if self._stream is None else await current_position(session)
            counts = """
                SELECT (SELECT count(*) FROM notices) AS notices,
                       (SELECT count(*) FROM dead_letters WHERE expires > now()) AS dead_letters
            """
            found = (await session.execute(text(counts))).one()
        service = self._bus.service
        if self._stream is None or self._published is not None:
            OUTBOX.labels(service).set(max(position - (self._published or 0), 0))
        NOTICES.labels(service).set(found.notices)
        DEAD_LETTERS.labels(service).set(found.dead_letters)
