"""What moved, told on NATS: it is published on `changes.figures`, by one process at a time, where the last one left off.

The stream's last message says how far it has come, so nothing is noted here, and nothing is left out while no process ran: it is
in the first message after. Where that message has expired, or too much has moved since, the first one only says where the figures
are, as of no change: whoever has not heard of that step asks for the figures, as those do who missed a message.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting import moves
from services.reporting.live import Live
from shared.bus import Bus
from shared.database import Database
from shared.deadletters import describe
from shared.rights import CHANGES, FIGURES
from shared.tasks import background

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0
AGAIN_SECONDS: Final = 3.0
PUBLISH_SECONDS: Final = 5.0
STEPS: Final = 10_000
"""What more steps than these moved is not added up: it could take longer than a statement may."""


class Announcer:
    """Any number of processes may run one; a lock lets one of them work."""

    def __init__(self, database: Database, bus: Bus, live: Live) -> None:
        self._database = database
        self._bus = bus
        self._live = live

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Announce in the background until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        said = ""
        while True:
            try:
                if self._bus.connected:
                    async with self._database.alone("announcer") as connection:
                        if connection is not None:
                            await self._lead(connection)
            except Exception as error:
                if said != (said := describe(error)):
                    log.warning("changes are not announced for now: %s", said)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _lead(self, connection: AsyncConnection) -> None:
        last = await self._last_step()
        while True:
            # Over the connection that holds the lock, so that a lost lock is noticed before anything is told.
            newest = await moves.newest(connection)
            moved: moves.Move | None
            if last is None or not last <= newest <= last + STEPS:
                # Fewer than that: an older database was restored, or all is made anew.
                moved, last = await moves.nothing(connection), 0
            else:
                match self._live.after(last):
                    case [move] if move.since == last:  # as it mostly is: what moved was looked up a moment ago
                        moved = move
                    case _:  # several become one; and those kept here may begin before what was said last
                        moved = await moves.since(connection, last) if newest > last else None
            if moved is not None:
                body = moved.model_dump_json().encode()
                await self._bus.jetstream.publish(FIGURES, body, timeout=PUBLISH_SECONDS, stream=CHANGES)
                last = moved.step
            await self._live.news(last, LOOK_SECONDS)

    async def _last_step(self) -> int | None:
        """Up to which step it was announced; None when that is not known any more."""
        last = await self._bus.last_sequence(CHANGES)
        for message in await self._bus.read(CHANGES, last, last) if last else []:
            return int(json.loads(message.body)["step"])
        return None if last else 0
