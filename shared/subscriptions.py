"""One subscription: a durable consumer, the FastStream subscriber that reads it, and a watch over both."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from typing import Any, NoReturn, Protocol

import nats.errors
from faststream.message import StreamMessage
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy, Header
from nats.js.errors import BadRequestError, NotFoundError, ServerError
from prometheus_client import Counter, Gauge
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import metrics
from shared.batches import BATCHES, Batches, FactBatches
from shared.correlation import way_of
from shared.database import Database
from shared.deadletters import describe
from shared.delivery import Delivery
from shared.outbox import fingerprint
from shared.streams import WAY_OUT

log = logging.getLogger(__name__)

ACK_WAIT_SECONDS = 15.0
IDLE_SECONDS = 0.5
"""Where nothing came, the next is waited for so long at a time: to ask twenty times a second kept an idle machine busy."""
WATCH_SECONDS = 2.0
QUIET_SECONDS = 6.0
"""Messages that wait for so long while nothing is done are a problem, though perhaps one that mends itself."""
STALL_SECONDS = 20.0
"""Longer than any message waits after a nak or for want of an ack."""
STANDS_STILL_SECONDS = 5.0
"""A stream that ends before what was heard of it is being filled as long as it grew within this time: minutes, where there are
millions of facts, in which nothing is wrong."""

RESTARTS = Counter("sampan_bus_restarts", "Subscriptions, streams and connections made anew", ["service", "what"])
LAG = Gauge(
    "sampan_consumer_lag",
    "Messages of a stream that are not settled here, by the process that hears it",
    ["service", "stream"],
)


class Link(Protocol):
    """What a subscription needs of the bus."""

    @property
    def connected(self) -> bool: ...

    @property
    def connections(self) -> int: ...

    @property
    def jetstream(self) -> JetStreamContext: ...


class Subscription:
    """Hears one stream, for ever: whatever is wrong with consumer or subscriber, both are made anew."""

    def __init__(
        self,
        link: Link,
        database: Database,
        service: str,
        stream: str,
        filter_subject: str | None,
        subscriber: BatchPullStreamSubscriber,
        batches: Batches,
    ) -> None:
        """The durable is called like the service. `subscriber` must call `take`."""
        self.stream = stream
        self._link = link
        self._database = database
        self._service = service
        self._filter_subject = filter_subject
        self._subscriber = subscriber
        self._batches = batches
        self._problem: str | None = f"{stream} is not heard yet"
        self._end: tuple[int, float] | None = None  # of a stream that is being filled, and since when it has been there
        self._looked: int | None = None  # over which connection it was last made sure that the stream is the one it was
        self._suspect = asyncio.Event()
        self._busy = False
        self._last_delivery = 0.0

    async def replay(self, delivery: Delivery) -> None:
        """Have a dead letter of this stream handled. Raises what the handler raises."""
        await self._batches.replay(delivery)

    def health(self) -> list[str]:
        """What is wrong now, in plain words."""
        said = (self._problem, self._batches.problem, self._batches.work.problem())
        return [problem for problem in said if problem]

    async def take(self, messages: list[Any]) -> None:
        """Settle one batch of nats-py's messages, then ack. It never raises: FastStream would log it, with the message."""
        self._busy = True
        try:
            batch = [_delivery(message) for message in messages]
            BATCHES.labels(self._service, self.stream).observe(len(batch))
            with metrics.handling(self._service, self.stream, batch):
                later = await self._batches.settle(batch)
            for message, delivery in zip(messages, batch, strict=True):
                wait = later.get(delivery.sequence)
                if wait is None:
                    await message.ack()
                else:
                    await message.nak(delay=wait)
        except Exception as error:
            # What was not acked comes again after ACK_WAIT_SECONDS.
            log.warning("%s: a batch was not settled: %s", self.stream, describe(error))
        finally:
            self._busy = False
            self._last_delivery = monotonic()

    async def keep(self) -> NoReturn:
        """Start, watch, and start again whenever something is wrong."""
        while True:
            try:
                if not isinstance(self._batches, FactBatches):
                    await self._hear(None)
                # Two replicas that pull from one consumer get every other fact, and each would wait for the other's.
                async with self._database.alone(f"hears {self.stream}") as lock:
                    if lock is not None:
                        await self._hear(lock)
                self._problem = self._batches.problem = None  # another replica hears
            except BeingFilled:
                self._problem = None
            except Exception as error:
                said = "stream or consumer is gone" if isinstance(error, NotFoundError) else describe(error)
                if isinstance(error, AnotherHistory):
                    said = str(error)
                problem = f"{self.stream} is not heard: {said}"
                if self._problem != problem:
                    log.warning("%s; trying again", problem)
                self._problem = problem
                RESTARTS.labels(self._service, self.stream).inc()
            await asyncio.sleep(0.5)

    async def _hear(self, lock: AsyncConnection | None) -> NoReturn:
        try:
            await self._start()
            log.info("%s is heard", self.stream)
            self._problem = None
            while True:
                info = await self._watch()
                if info is not None and self._link.connections != self._looked:
                    await self._look()
                if lock is not None:  # asked also when there is nothing to compare: a lost lock must be noticed
                    heard = await lock.scalar(
                        text("SELECT position FROM heard WHERE stream = :stream"), {"stream": self.stream}
                    )
                    if info is not None:
                        await self._hear_what_is_lacking((heard or 0) + 1, info)
        except Stalled:
            # Whatever it was (somebody may have paused it), a new consumer does not have it; nothing is lost with the old one.
            with suppress(Exception):
                await self._link.jetstream.delete_consumer(self.stream, self._service)
            raise
        finally:
            with suppress(KeyError):  # another process may be the one that hears next
                LAG.remove(self._service, self.stream)
            await _stop(self._subscriber)

    async def _start(self) -> None:
        info = await self._ensure_consumer()
        heard = await self._look()
        if isinstance(self._batches, FactBatches):
            # Read after the consumer's floor, so it can only be behind it when the database was restored or emptied.
            await self._hear_from(heard + 1, info)
        await self._subscriber.start()
        reader = self._subscriber.subscription
        assert reader is not None
        # FastStream looks the method up for each fetch, and its task has not run yet: nothing awaited since it was made.
        vars(reader)["fetch"] = Fetch(reader, self._may_fetch, self._suspect)
        self._last_delivery = monotonic()

    def _may_fetch(self) -> bool:
        """Not over a new connection before the look, which is then due: the broker may have been put back, disk and all."""
        if not self._link.connected:
            return False
        if self._link.connections != self._looked:
            self._suspect.set()
            return False
        return True

    async def _look(self) -> int:
        """Up to where the stream is applied, 0 where that is not counted; from then on it is fetched over this connection."""
        connections = self._link.connections
        heard = await self._heard_of_this_stream() if isinstance(self._batches, FactBatches) else 0
        self._looked = connections
        return heard

    async def _heard_of_this_stream(self) -> int:
        """Up to where it is applied. Raises AnotherHistory while that is not known to be what the stream has there.

        If its journal went back as well as the stream, facts that were never applied come at positions that are at or before
        this one, and would be taken for heard.
        """
        async with self._database.transaction() as session:
            select = text("SELECT position, last FROM heard WHERE stream = :stream")
            row = (await session.execute(select, {"stream": self.stream})).first()
        if row is None or row.position == 0:
            return 0
        heard: int = row.position
        ends = (await self._link.jetstream.stream_info(self.stream)).state.last_seq
        if ends < heard:
            self._look_whether_it_grows(ends, heard)
        self._end = None
        # Of another position it says nothing: an older copy of the service went on, or a hand.
        if row.last is not None and row.last.startswith(f"{heard} "):
            with suppress(NotFoundError):
                there = await self._link.jetstream.get_msg(self.stream, heard)
                if fingerprint(heard, there.data or b"") != row.last:
                    raise AnotherHistory(f"it says something else at {heard} than what is applied here: {WAY_OUT}")
        return heard

    def _look_whether_it_grows(self, ends: int, heard: int) -> NoReturn:
        """Raise BeingFilled, which is nothing to tell anybody of, or AnotherHistory once it stands still."""
        now, (before, since) = monotonic(), self._end or (-1, 0.0)
        if ends != before:
            self._end = ends, now
        elif now - since > STANDS_STILL_SECONDS:
            raise AnotherHistory(f"it ends at {ends}, and {heard} are applied here: nobody fills it, or it went back")
        raise BeingFilled

    async def _watch(self) -> ConsumerInfo | None:
        """Look once, soon, and say what the broker knows of the consumer, if it tells.

        Raises when the subscription must be made anew. `ping()` would be true all the while.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(WATCH_SECONDS):
                await self._suspect.wait()
        self._suspect.clear()
        if not self._link.connected:
            return None
        said = self._batches.problem
        try:
            info = await self._link.jetstream.consumer_info(self.stream, self._service)
        except NotFoundError:
            raise
        except (TimeoutError, ConnectionError, nats.errors.Error) as error:
            log.warning("%s: the broker does not tell of its consumer: %s", self.stream, describe(error))
            return None
        LAG.labels(self._service, self.stream).set((info.num_pending or 0) + (info.num_ack_pending or 0))
        if info.paused:
            raise Stalled
        if self._busy or not (info.num_pending or info.num_ack_pending):
            self._last_delivery = monotonic()
        self._batches.forget(said, waiting=self._busy or bool(info.num_pending or info.num_ack_pending))
        quiet = monotonic() - self._last_delivery
        if quiet > STALL_SECONDS:
            raise Stalled
        self._problem = (
            f"{self.stream}: messages wait, and nothing comes for {quiet:.0f} s" if quiet > QUIET_SECONDS else None
        )
        await asyncio.sleep(0.5)  # a suspicion is looked into at most twice a second
        known: ConsumerInfo = info
        return known

    # --- the consumer

    async def _ensure_consumer(self) -> ConsumerInfo:
        """Create the durable or bring it to this configuration; raises NotFoundError when the stream is not there yet."""
        js = self._link.jetstream
        config = ConsumerConfig(
            name=self._service,
            durable_name=self._service,
            filter_subject=self._filter_subject,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=AckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_ack_pending=self._subscriber.pull_sub.batch_size,
            max_deliver=-1,  # giving up is decided here, with a dead letter, never by the server
        )
        try:
            return await js.add_consumer(self.stream, config)
        except (BadRequestError, ServerError) as error:
            # Some settings cannot be changed. Nothing is lost with the old consumer: what was not acked is still in the stream,
            # and what was applied is known to the database.
            log.warning("%s: consumer %s is made anew (%s)", self.stream, self._service, error.description)
            with suppress(NotFoundError):
                await js.delete_consumer(self.stream, self._service)
            return await js.add_consumer(self.stream, config)

    async def next_in_stream(self, sequence: int) -> int:
        """The first message at or after `sequence` that the stream still has; that very one is then sure to be delivered."""
        js = self._link.jetstream
        try:
            there = (await js.get_msg(self.stream, seq=sequence, subject=">", next=True)).seq or sequence
        except NotFoundError:
            return sequence
        if there == sequence:
            await self._hear_from(sequence, await js.consumer_info(self.stream, self._service))
        return there

    async def _hear_what_is_lacking(self, sequence: int, info: ConsumerInfo) -> None:
        """Hear again from `sequence` on when the consumer takes that for settled, though nothing more comes.

        The position is advanced before the ack and was read after `info`: it can only be behind when the database was
        restored, or emptied for a rebuild.
        """
        if _floor(info) < sequence:
            return
        with suppress(NotFoundError):  # gone from the stream, and nothing after it: there is nothing to hear
            there = await self._link.jetstream.get_msg(self.stream, seq=sequence, subject=">", next=True)
            await self._hear_from(there.seq or sequence, info)

    async def _hear_from(self, sequence: int, info: ConsumerInfo) -> None:
        """Have a message delivered that the consumer takes for settled, though this database does not have it."""
        floor = _floor(info)
        if floor >= sequence:
            log.warning("%s: acked up to %d but applied below %d: heard again", self.stream, floor, sequence)
            RESTARTS.labels(self._service, self.stream).inc()
            await self._link.jetstream.reset_consumer(self.stream, self._service, seq=sequence)


def _status_of(message: Msg | None) -> str | None:
    """nats-py's test for a word of the server's own among the messages.

    Its own looks at the header `Status` alone, which any sender can set: such a message would be neither handled nor acked, and
    fifty of them would stop the intake for good. What a stream delivers carries its ack subject; the server's words do not.
    """
    if message is None or message.headers is None or message.reply.startswith("$JS.ACK."):
        return None
    return message.headers.get(Header.STATUS)


JetStreamContext.is_status_msg = staticmethod(_status_of)  # type: ignore[assignment,method-assign]


class BeingFilled(Exception):
    """The stream was made anew, and its owner brings its facts back."""


class AnotherHistory(Exception):
    """What the stream says is not what was heard of it; the text says what is seen, and what to do."""


class Stalled(Exception):
    """Messages wait, the subscriber is idle, and nothing reaches it, or nothing will: the consumer is paused."""


class Fetch:
    """`PullSubscription.fetch` as FastStream needs it: it either brings messages, or takes its time and times out.

    nats-py's own raises a bare asyncio.TimeoutError now and then, which FastStream does not catch: what was already pulled then
    waits out the ack time. And it returns at once when the consumer is gone, so that FastStream's loop spins.

    After a time without messages it takes more time than FastStream gives it.
    """

    def __init__(
        self, reader: JetStreamContext.PullSubscription, allowed: Callable[[], bool], suspect: asyncio.Event
    ) -> None:
        self._fetch: Callable[..., Awaitable[list[Msg]]] = reader.fetch
        self._allowed = allowed
        self._suspect = suspect
        self._idle = False

    async def __call__(self, batch: int, timeout: float) -> list[Msg]:  # noqa: ASYNC109 - nats-py's signature
        patience = IDLE_SECONDS if self._idle else timeout
        ends = monotonic() + patience
        if not self._allowed():  # requests would pile up in the client and all be answered at the reconnect
            await asyncio.sleep(0.2)
            raise nats.errors.TimeoutError
        try:
            if timeout > 0.001:  # less is over before the server has it
                messages = await (
                    self._first(batch, timeout) if self._idle else self._fetch(batch=batch, timeout=timeout)
                )
                self._idle = not messages
                if messages:
                    return messages
        except TimeoutError:
            self._idle = True
            raise nats.errors.TimeoutError from None
        except nats.errors.Error:
            self._suspect.set()
            await asyncio.sleep(0.5)
            raise nats.errors.TimeoutError from None
        early = ends - monotonic()
        if early > patience / 2:
            self._suspect.set()
        await asyncio.sleep(max(early, 0))
        raise nats.errors.TimeoutError

    async def _first(self, batch: int, collect: float) -> list[Msg]:
        """The first message in a long time, and those that come with it."""
        messages = await self._fetch(batch=1, timeout=IDLE_SECONDS)
        with suppress(TimeoutError, nats.errors.Error):  # the first is there, whatever is wrong with the rest
            if messages and batch > 1:
                messages += await self._fetch(batch=batch - 1, timeout=collect / 2)
        return messages


async def as_it_came(message: StreamMessage[list[Msg]]) -> list[Msg]:
    """FastStream's decoder: it cannot fail, so one bad message cannot take the batch with it."""
    return message.raw_message


def _floor(info: ConsumerInfo) -> int:
    """Up to where the consumer takes everything for settled."""
    return info.ack_floor.stream_seq if info.ack_floor is not None else 0


def _delivery(message: Msg) -> Delivery:
    metadata = message.metadata
    return Delivery(
        subject=message.subject,
        body=message.data,
        stream=metadata.stream,
        sequence=metadata.sequence.stream,
        deliveries=metadata.num_delivered or 1,
        headers=message.headers or {},
        way=way_of(message.headers or {}),
    )


async def _stop(subscriber: BatchPullStreamSubscriber) -> None:
    tasks = list(subscriber.tasks)
    with suppress(Exception):
        await subscriber.stop()
    for task in tasks:
        task.cancel()
    subscriber.tasks.clear()
    subscriber.subscription = None  # still there when unsubscribing failed; then it would not be made anew
