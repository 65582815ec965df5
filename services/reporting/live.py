"""Following the figures: one look at the database per process, however many readers there are.

The cube's version announces each change by NOTIFY, so replicas that do not project hear of it as well; a look every few seconds
finds what an announcement that was lost would have said. What moved is kept for a while in memory, and each reader goes
through it at their own pace: there is no queue that somebody could let grow.
"""

import asyncio
import logging
import resource
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Final

from prometheus_client import Gauge
from sqlalchemy.ext.asyncio import AsyncConnection

from services.reporting import moves
from services.reporting.moves import CHANNEL, Move
from shared.database import Database
from shared.deadletters import describe
from shared.tasks import background

log = logging.getLogger(__name__)

KEPT: Final = 500
"""Moves that are kept; who has missed more than these is told to ask for the figures anew."""
GAP_SECONDS: Final = 0.2
"""At most one move in this time: while facts pour in, several steps are one move."""
LONGEST_GAP_SECONDS: Final = 0.6
"""The more who follow, the more becomes one move; though all are told within a second."""
TOLD_A_SECOND: Final = 1000
"""So many readers are told in a second, as long as that leaves the gap as it may be: one costs a tenth of a millisecond, twice
with who reads on the same machine, and who posts should not feel who looks."""
LOOK_SECONDS: Final = 5.0
RETRY_SECONDS: Final = 1.0
READERS: Final = 2000
"""Who may follow at a time in one process, and no more than half of the connections it may have; a reader costs some 55 KB."""
READERS_OF_AN_OFFICE: Final = 200

FOLLOWING: Final = Gauge("sampan_readers", "Readers who follow the figures now")


class Live:
    """What moved of late, and who follows it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: deque[Move] = deque(maxlen=KEPT)
        self._step: int | None = None
        self._news = asyncio.Event()
        self._readers: Counter[str | None] = Counter()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Look out for changes in the background until the block ends."""
        async with background(self._run()):
            yield

    @property
    def step(self) -> int:
        """The newest step that is known here."""
        return self._step or 0

    def after(self, step: int) -> Sequence[Move] | None:
        """What moved after a step, oldest first; None when it is not known here (any more) what did."""
        if self._step is None or step > self._step:
            return None
        if step == self._step:
            return ()
        found = [move for move in self._kept if move.step > step]
        return found if found and found[0].since <= step else None

    async def known(self) -> None:
        """Wait until it is known here which step is the newest: a moment, after a start."""
        news = self._news
        if self._step is None:
            await news.wait()

    async def news(self, step: int, seconds: float) -> None:
        """Wait until something has moved after a step, though no longer than so many seconds."""
        news = self._news
        if self.step <= step:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await news.wait()

    @property
    def followed(self) -> int:
        """By how many."""
        return self._readers.total()

    def admits(self, office: str | None) -> bool:
        """Whether one more of an office (None: the administrator) may follow."""
        return self.followed < min(READERS, _connections() // 2) and (
            office is None or self._readers[office] < READERS_OF_AN_OFFICE
        )

    @contextmanager
    def reader(self, office: str | None) -> Iterator[None]:
        """Count somebody for as long as they follow."""
        self._readers[office] += 1
        FOLLOWING.inc()
        try:
            yield
        finally:
            self._readers[office] -= 1
            FOLLOWING.dec()

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:
                log.warning("nobody hears of changes for now: %s", describe(error))
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        async with self._database.engine.connect() as plain:
            connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
            driver = (await connection.get_raw_connection()).driver_connection
            told = asyncio.Event()
            try:
                await driver.add_listener(CHANNEL, lambda *_: told.set())  # type: ignore[union-attr]
                while True:
                    told.clear()
                    await self._look(connection)
                    await asyncio.sleep(gap_seconds(self.followed))
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_SECONDS):
                            await told.wait()
            finally:
                await connection.invalidate()  # closed, not given back to the pool: it listens

    async def _look(self, connection: AsyncConnection) -> None:
        if self._step is None:
            self._tell(await moves.newest(connection))
            return
        if (moved := await moves.since(connection, self._step)) is not None:
            self.take(moved)
        elif (newest := await moves.newest(connection)) < self._step:  # an older database was restored
            self._kept.clear()
            self._tell(newest)

    def take(self, move: Move) -> None:
        """Let everybody who follows know of a move."""
        self._kept.append(move)
        self._tell(move.step)

    def _tell(self, step: int) -> None:
        self._step = step
        news, self._news = self._news, asyncio.Event()
        news.set()


def gap_seconds(readers: int) -> float:
    """How long the next move waits for what else moves, with so many to be told of it."""
    return min(max(GAP_SECONDS, readers / TOLD_A_SECOND), LONGEST_GAP_SECONDS)


def _connections() -> int:
    """How many the process may have."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 2 * READERS if most == resource.RLIM_INFINITY else most
