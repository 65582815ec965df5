"""What is done with one batch of messages: one transaction, and what to do when it fails.

Nothing here knows the broker: a batch is settled when `settle` returns, and it returns what must be delivered again later.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Protocol

from prometheus_client import Counter as Metric
from prometheus_client import Histogram
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from shared import metrics
from shared.database import Database, is_transient
from shared.deadletters import DeadLetters, describe
from shared.delivery import Delivery
from shared.outbox import fingerprint
from shared.progress import Work

log = logging.getLogger(__name__)

STRIKES = 3
"""How often a message must fail by itself before it becomes a dead letter."""
STRIKE_SECONDS = 1.0
TOGETHER = 3
"""How often a batch is tried as a whole while it seems to be the world that fails; then each of it by itself."""
LONGEST_WAIT_SECONDS = 10.0
GAP_SECONDS = 0.2
GONE_SECONDS = 2 * 86_400.0
"""How long facts that the stream does not have are waited for. Its owner reads it through once a day (`scrubbing`) and makes it
anew when some are gone; what was skipped does not come by itself any more."""
OVERDUE_SECONDS = 5.0
"""What was put off and has not come again so long after its time went to another replica."""

HANDLED = Metric("sampan_messages", "Messages taken from a stream", ["service", "stream", "outcome"])
BATCHES = Histogram(
    "sampan_batch_messages",
    "Messages in one batch",
    ["service", "stream"],
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500),
)

Later = dict[int, float]
"""Per sequence, in how many seconds the message shall come again; what is not in it is settled."""

IntakeHandler = Callable[[list[Delivery]], Awaitable[None]]
FactHandler = Callable[[AsyncSession, list[Delivery]], Awaitable[None]]


class Batches(Protocol):
    """What the bus needs of either kind of subscription."""

    problem: str | None
    work: Work

    def forget(self, problem: str | None, *, waiting: bool) -> None: ...

    async def settle(self, batch: Sequence[Delivery]) -> Later: ...

    async def replay(self, delivery: Delivery) -> None: ...


class _Settling:
    """What both kinds have in common: strikes, dead letters, waiting, counting."""

    def __init__(self, database: Database, dead_letters: DeadLetters, stream: str) -> None:
        self.database = database
        self.dead_letters = dead_letters
        self.stream = stream
        self.problem: str | None = None
        self.work = Work(stream)
        self._strikes: Counter[int] = Counter()
        self._again = 0.0  # when what was put off comes again

    def forget(self, problem: str | None, *, waiting: bool) -> None:
        """Drop a problem of which nothing more will be heard here: another replica had the messages that were put off.

        `problem` is what was said before the broker was asked whether messages are `waiting`.
        """
        if self.problem == problem and not (waiting and monotonic() < self._again + OVERDUE_SECONDS):
            self.problem = None

    def _tried_enough(self, batch: Sequence[Delivery]) -> bool:
        return max(delivery.deliveries for delivery in batch) > TOGETHER

    def _settled(self, batch: Sequence[Delivery]) -> None:
        self.problem = None
        for delivery in batch:
            self._strikes.pop(delivery.sequence, None)
        self._count("applied", len(batch))

    def _postpone(self, batch: Sequence[Delivery], error: Exception) -> Later:
        """All of it again later: the world failed, so neighbours would fail as well."""
        wait = min(LONGEST_WAIT_SECONDS, 0.5 * 2 ** min(max(delivery.deliveries for delivery in batch) - 1, 10))
        self._again = monotonic() + wait
        self.problem = f"{self.stream} waits: {describe(error)}"
        log.warning("%s: %d messages again in %.1f s: %s", self.stream, len(batch), wait, describe(error))
        self._count("postponed", len(batch))
        return {delivery.sequence: wait for delivery in batch}

    def _strike(self, delivery: Delivery, error: Exception) -> bool:
        """Count a message's failure by itself; whether it is out."""
        self._strikes[delivery.sequence] += 1
        strikes = self._strikes[delivery.sequence]
        log.error(
            "%s: message %d on %s failed by itself (%d of %d): %s",
            self.stream, delivery.sequence, delivery.subject, strikes, STRIKES, describe(error),
            extra=_told(delivery),
        )  # fmt: skip
        self._count("failed", 1)
        return strikes >= STRIKES

    def _buried(self, delivery: Delivery) -> None:
        self._strikes.pop(delivery.sequence, None)
        log.error("%s: message %d is now a dead letter", self.stream, delivery.sequence, extra=_told(delivery))
        self._count("dead", 1)

    def _count(self, outcome: str, messages: int) -> None:
        HANDLED.labels(self.dead_letters.service, self.stream, outcome).inc(messages)


class IntakeBatches(_Settling):
    """Messages that do not depend on each other: whatever one of them does, its neighbours are handled."""

    def __init__(self, database: Database, dead_letters: DeadLetters, stream: str, handle: IntakeHandler) -> None:
        super().__init__(database, dead_letters, stream)
        self._handle = handle
        self._failing: dict[int, float] = {}  # when it last failed by itself, as if it were the world
        self._last_settled = 0.0

    async def settle(self, batch: Sequence[Delivery]) -> Later:
        suspects = self._strikes.keys() | self._failing.keys()
        fresh = [delivery for delivery in batch if delivery.sequence not in suspects]
        alone = [delivery for delivery in batch if delivery.sequence in suspects]
        if fresh:
            try:
                await self.work.done(self._handle(fresh))
            except Exception as error:
                if is_transient(error) and not self._tried_enough(fresh):
                    return self._postpone(batch, error)
                alone = [*fresh, *alone]
            else:
                self._settled(fresh)
        later: Later = {}
        for place, delivery in enumerate(alone):
            try:
                later |= await self._settle_alone(delivery)
            except Exception as error:
                if not await self._database_answers():
                    return later | self._postpone(alone[place:], error)
                later |= self._postpone([delivery], error)
        return later

    def _settled(self, batch: Sequence[Delivery]) -> None:
        super()._settled(batch)
        self._last_settled = monotonic()
        for delivery in batch:
            self._failing.pop(delivery.sequence, None)

    async def _database_answers(self) -> bool:
        try:
            await self.database.ping()
        except Exception:
            return False
        return True

    async def _is_the_world(self, delivery: Delivery) -> bool:
        """Whether others fail as well: nothing was settled since this one failed, or the database does not answer.

        What does not answer to one message only, such as a statement that takes too long, is that message's own failure.
        """
        before = self._failing.get(delivery.sequence)
        self._failing[delivery.sequence] = monotonic()
        return before is None or self._last_settled < before or not await self._database_answers()

    async def replay(self, delivery: Delivery) -> None:
        """Handle a dead letter as the message it was. Raises what the handler raises."""
        await self._handle([delivery])

    async def _settle_alone(self, delivery: Delivery) -> Later:
        """Raises only when the world failed."""
        try:
            await self.work.done(self._handle([delivery]))
        except Exception as error:
            if is_transient(error) and await self._is_the_world(delivery):
                raise
            if not self._strike(delivery, error):
                return {delivery.sequence: STRIKE_SECONDS}
            failure = error
        else:
            self._settled([delivery])
            return {}
        await self.database.run(lambda session: self.dead_letters.bury(session, delivery, failure))
        self._buried(delivery)
        self._failing.pop(delivery.sequence, None)
        return {}


class FactBatches(_Settling):
    """Facts of one stream, applied in its order and without gaps.

    The `heard` row of the stream is locked and advanced in the handler's own transaction, so facts are applied once and by one
    process at a time, whatever is delivered how often and to whom.
    """

    def __init__(
        self,
        database: Database,
        dead_letters: DeadLetters,
        stream: str,
        handle: FactHandler,
        next_in_stream: Callable[[int], Awaitable[int]],
        late: FactHandler | None = None,
    ) -> None:
        """`next_in_stream(sequence)` sees to it that the message at or after `sequence` is (being) delivered, and says
        which one that is: more than `sequence` when that message is gone for good. `late` handles what is replayed, where
        that is done in another way."""
        super().__init__(database, dead_letters, stream)
        self._handle = handle
        self._late = late or handle
        self._next_in_stream = next_in_stream
        self._gone: tuple[int, float] | None = None  # after which position, and since when

    async def settle(self, batch: Sequence[Delivery]) -> Later:
        ordered = sorted({delivery.sequence: delivery for delivery in batch}.values(), key=lambda one: one.sequence)
        try:
            position = await self._apply(ordered)
        except Exception as error:
            if is_transient(error) and not self._tried_enough(ordered):
                return self._postpone(ordered, error)
            return await self._settle_one_by_one(ordered)
        return await self._after(position, ordered)

    async def replay(self, delivery: Delivery) -> None:
        """Apply a dead letter now; the position has passed it long since, and the revision says whether it is news.

        Raises what the handler raises.
        """

        async def work(session: AsyncSession) -> None:
            await lock_heard(session, self.stream)
            await self._late(session, [delivery])

        await self.database.run(work)

    async def _after(self, position: int, ordered: list[Delivery]) -> Later:
        settled = [delivery for delivery in ordered if delivery.sequence <= position]
        if settled:  # else a problem is not over
            self._settled(settled)
            metrics.heard(self.stream, settled, position)
        beyond = [delivery for delivery in ordered if delivery.sequence > position]
        if beyond and beyond[0].deliveries > 1 and await self._skip_what_is_gone(position):
            return await self.settle(beyond)
        wait = STRIKE_SECONDS if self._gone and self._gone[0] == position else GAP_SECONDS
        return {delivery.sequence: wait for delivery in beyond}

    async def _settle_one_by_one(self, ordered: list[Delivery]) -> Later:
        """Up to the message that fails by itself; what follows waits for it, because order counts.

        So nothing tells one that only seems to fail for the world's sake from all of them: it is never given up.
        """
        position = 0
        for place, delivery in enumerate(ordered):
            try:
                position = await self._apply([delivery])
            except Exception as error:
                try:
                    if is_transient(error):
                        raise
                    if not self._strike(delivery, error):
                        return {one.sequence: STRIKE_SECONDS for one in ordered[place:]}
                    position = await self._bury(delivery, error)
                except Exception as failure:
                    return self._postpone(ordered[place:], failure)
        return await self._after(position, ordered)

    async def _apply(self, ordered: Sequence[Delivery]) -> int:
        """Apply the run that follows on the position, and say where the position then is."""

        async def work(session: AsyncSession) -> int:
            position = await lock_heard(session, self.stream)
            run: list[Delivery] = []
            for delivery in ordered:
                if delivery.sequence == position + len(run) + 1:
                    run.append(delivery)
            if run:
                await self._handle(session, run)
                await advance_heard(session, self.stream, run[-1].sequence, run[-1].body)
            return position + len(run)

        return await self.work.done(self.database.run(work))

    async def _bury(self, delivery: Delivery, error: Exception) -> int:
        async def work(session: AsyncSession) -> int:
            position = await lock_heard(session, self.stream)
            if delivery.sequence != position + 1:  # another process was faster
                return position
            await self.dead_letters.bury(session, delivery, error)
            await advance_heard(session, self.stream, delivery.sequence, delivery.body)
            return delivery.sequence

        position = await self.database.run(work)
        self._buried(delivery)
        return position

    async def _skip_what_is_gone(self, position: int) -> bool:
        """Step over messages that are gone and not brought back, so that they do not hold up the rest for ever."""
        there = await self._next_in_stream(position + 1)
        if there <= position + 1:
            self._gone = None
            return False
        if self._gone is None or self._gone[0] != position:
            self._gone = position, monotonic()
            log.error("%s: message %d is not in the stream: waiting for it to be made anew", self.stream, position + 1)
        if monotonic() - self._gone[1] < GONE_SECONDS:
            self.problem = f"{self.stream} waits: its message {position + 1} is gone, and it is to be made anew"
            self._again = monotonic() + STRIKE_SECONDS
            return False

        async def work(session: AsyncSession) -> bool:
            if await lock_heard(session, self.stream) != position:
                return True
            await advance_heard(session, self.stream, there - 1)
            return True

        await self.database.run(work)
        log.error(
            "%s: messages %d to %d are no longer in the stream and were never applied here: skipped. "
            "They do not come by themselves any more: how to have them is in docs/upkeep.md.",
            self.stream, position + 1, there - 1,
        )  # fmt: skip
        self._count("skipped", there - 1 - position)
        return True


def _told(delivery: Delivery) -> dict[str, str | int]:
    """What a log's line tells of a message besides its words."""
    return {"stream": delivery.stream, "sequence": delivery.sequence, "correlation": delivery.way.correlation}


async def lock_heard(session: AsyncSession, stream: str) -> int:
    """The position up to which a stream is applied; nobody else changes it before this transaction ends."""
    select = text("SELECT position FROM heard WHERE stream = :stream FOR UPDATE")
    position = (await session.execute(select, {"stream": stream})).scalar_one_or_none()
    if position is None:
        insert = text("INSERT INTO heard (stream, position) VALUES (:stream, 0) ON CONFLICT DO NOTHING")
        await session.execute(insert, {"stream": stream})
        position = (await session.execute(select, {"stream": stream})).scalar_one()
    return int(position)


async def advance_heard(session: AsyncSession, stream: str, position: int, body: bytes | None = None) -> None:
    """Up to `position`, where the stream has the fact with this `body`, or none any more."""
    last = None if body is None else fingerprint(position, body)
    update = text("UPDATE heard SET position = :position, last = :last WHERE stream = :stream")
    await session.execute(update, {"stream": stream, "position": position, "last": last})
