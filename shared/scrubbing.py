"""A stream is read through now and then and compared with its journal: a disk may give back other bits than were written.

The broker does not deliver a message whose checksum is wrong, and says nothing of it: whoever hears the stream finds a gap. The
journal has the fact, and the stream is made anew from it, with the same sequences, so that nobody applies anything twice.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.bus import BrokerAway, Bus
from shared.database import Database
from shared.deadletters import describe
from shared.streams import WAY_OUT
from shared.tasks import background

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 1.0
AGAIN_SECONDS: Final = 86_400.0
"""So long after the stream was read through it is read again; sooner when the broker was away."""
DIFFERS_SECONDS: Final = 30.0
"""The same while it says something else than the journal: somebody may put that right."""
BATCH: Final = 200


class Scrubbing:
    """For the service that owns a stream of facts. Any number of processes may run one; a lock lets one of them work."""

    def __init__(self, database: Database, bus: Bus, stream: str) -> None:
        self._database = database
        self._bus = bus
        self._stream = stream
        self._differs: str | None = None

    def health(self) -> list[str]:
        """That the stream says something else than the journal, which nobody mends by himself."""
        return [self._differs] if self._differs else []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read in the background until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        read, when, said = 0, 0.0, ""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            connection = self._bus.connections
            again = DIFFERS_SECONDS if self._differs else AGAIN_SECONDS
            if not self._bus.connected or (read == connection and monotonic() - when < again):
                continue
            try:
                async with self._database.alone(f"reads {self._stream} through") as lock:
                    self._differs = await self._read_through(lock) if lock is not None else None
                read, when, said = connection, monotonic(), ""
            except Exception as error:
                if said != (said := describe(error)):
                    log.warning("%s is not read through for now: %s", self._stream, describe(error))

    async def _read_through(self, connection: AsyncConnection) -> str | None:
        """What is to be decided by somebody. Raises BrokerAway, also when the stream was made anew meanwhile."""
        last = await self._bus.last_sequence(self._stream)
        for first in range(1, last + 1, BATCH):
            began = monotonic()
            upto = min(first + BATCH - 1, last)
            rows = await connection.execute(
                text("SELECT position, subject, body FROM outbox WHERE position BETWEEN :first AND :last"),
                {"first": first, "last": upto},
            )
            journal = {row.position: (row.subject, row.body.encode()) for row in rows}
            messages = await self._bus.read(self._stream, first, upto)
            stream = {message.sequence: (message.subject, message.body) for message in messages}
            if other := [place for place, said in stream.items() if journal.get(place) != said]:
                # Another history, perhaps: what that calls for is an administrator's decision, as with the relay's.
                return f"{self._stream} and the journal differ at {other[0]}: {WAY_OUT}"
            if gone := sorted(journal.keys() - stream.keys()):
                if await self._bus.last_sequence(self._stream) < last:
                    raise BrokerAway(f"{self._stream} is being filled")
                log.error(
                    "%s does not have its message %d any more (%d of these %d): it is made anew from the journal",
                    self._stream, gone[0], len(gone), len(journal),
                )  # fmt: skip
                await self._bus.make_anew(self._stream)
                return None
            # Half of the time it leaves broker and database to the others.
            await asyncio.sleep(monotonic() - began)
        return None
