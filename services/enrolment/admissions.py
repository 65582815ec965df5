"""The broker is kept to what the registry says of offices: who is shut out, and who reads receipts through which durable.

It is compared and mended again and again, so it does not matter what was away, restored or deleted when an office was revoked.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from sqlalchemy import func, select
from sqlmodel import col

from services.enrolment.tables import BrokerUser, Office
from shared.admission import NotTaken, keep_durables, shut_out
from shared.bus import Bus
from shared.credentials import Authority
from shared.database import Database
from shared.deadletters import describe
from shared.events.identity import office_of
from shared.tasks import background

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
AGAIN_SECONDS = 1.0


class Admissions:
    """Any number of processes may run this; one at a time works."""

    def __init__(self, database: Database, bus: Bus, url: str, authority: Authority) -> None:
        self._database = database
        self._bus = bus
        self._url = url
        self._authority = authority
        self._problem: str | None = None
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look now rather than at the next turn: the registry has changed."""
        self._woken.set()

    def health(self) -> list[str]:
        """What is wrong now, in plain words; that the broker is away is the bus's to say."""
        return [self._problem] if self._problem and self._bus.connected else []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Work in the background until the block ends."""
        async with background(self._run()):
            yield

    async def _run(self) -> None:
        while True:
            self._woken.clear()
            done = False
            if self._bus.connected:
                try:
                    done = await self._look()
                    self._problem = None
                except Exception as error:
                    said = f"NotTaken ({error})" if isinstance(error, NotTaken) else describe(error)
                    self._problem = f"the broker does not know yet which offices are revoked or read receipts: {said}"
                    log.warning(self._problem)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS if done else AGAIN_SECONDS):
                    await self._woken.wait()

    async def _look(self) -> bool:
        """Compare and mend; False when another process is at it."""
        async with self._database.alone("admissions") as lock:
            if lock is None:
                return False
            statuses = (await lock.execute(select(col(Office.office), col(Office.status)))).all()
            users = await lock.execute(
                select(col(BrokerUser.key), col(BrokerUser.revoked)).where(
                    col(BrokerUser.revoked).is_not(None), col(BrokerUser.expires) > func.now()
                )
            )
            # An expired user is refused by its own date.
            if await shut_out(self._url, self._authority, {user.key: user.revoked for user in users}):
                log.info("the broker was told which offices' users are revoked")
            active, revoked = (
                {office_of(line.office) for line in statuses if (line.status == "active") is active}
                for active in (True, False)
            )
            await keep_durables(self._bus.jetstream, active, revoked)
        return True
