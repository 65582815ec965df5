"""The bus: one connection to the broker, the streams a service owns, its subscriptions, and a watch over all of them.

FastStream's and nats-py's defaults lose or stall events in several ways; what is set here, and why, is settled by
tests/integration/bus, one test for each.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NoReturn

import nats
from faststream.message import StreamMessage
from faststream.middlewares import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from faststream.security import SASLPlaintext
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy as ServerAckPolicy
from nats.js.api import ConsumerConfig, ConsumerInfo, DeliverPolicy
from nats.js.errors import BadRequestError, NotFoundError, ServerError
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.batches import BATCHES, Batches, FactBatches, FactHandler, IntakeBatches, IntakeHandler
from shared.database import Database
from shared.deadletters import DeadLetters, describe
from shared.delivery import Delivery
from shared.outbox import heard_positions
from shared.streams import STREAMS, ensure_stream

__all__ = ["Bus", "Delivery"]

log = logging.getLogger(__name__)

INTAKE_BATCH = 50  # messages of up to 8 MiB, each with many events
FACT_BATCH = 500
ACK_WAIT_SECONDS = 15.0
COLLECT_SECONDS = 0.05  # a partial batch waits no longer
WATCH_SECONDS = 2.0
STALL_SECONDS = 20.0
CONNECT_SECONDS = 5
PING_SECONDS = 5  # two unanswered: a half-open connection is noticed in seconds rather than minutes
PUBLISH_SECONDS = 5.0
SWEEP_SECONDS = 3600.0

RESTARTS = Counter("sampan_bus_restarts", "Subscriptions, streams and connections made anew", ["service", "what"])


@dataclass(eq=False)
class _Subscription:
    """A durable consumer of one stream, and the FastStream subscriber that reads it."""

    stream: str
    durable: str
    filter_subject: str | None
    batch_size: int
    batches: Batches
    subscriber: BatchPullStreamSubscriber
    facts: bool
    problem: str | None = "not started yet"
    suspect: asyncio.Event = field(default_factory=asyncio.Event)
    busy: bool = False
    last_delivery: float = 0.0

    @property
    def config(self) -> ConsumerConfig:
        return ConsumerConfig(
            name=self.durable,
            durable_name=self.durable,
            filter_subject=self.filter_subject,
            deliver_policy=DeliverPolicy.ALL,
            ack_policy=ServerAckPolicy.EXPLICIT,
            ack_wait=ACK_WAIT_SECONDS,
            max_ack_pending=self.batch_size,
            max_deliver=-1,  # giving up is decided here, with a dead letter, never by the server
        )


class _Broker(NatsBroker):
    """FastStream's own error callback raises within nats-py's reconnect loop on a stale connection, which ends the loop."""

    def _log_connection_broken(self, error_cb: Any = None) -> Any:
        return error_cb


class Bus:
    """One service's side of the broker.

    Subscriptions are declared before `running()`; from then on the bus connects, makes streams and consumers and makes them
    again whenever they are gone, for ever: neither a broker that is away nor one that lost everything stops it.
    """

    def __init__(
        self,
        service: str,
        database: Database,
        dead_letters: DeadLetters,
        *,
        url: str,
        user: str | None = None,
        password: str | None = None,
        owns: Sequence[str] = (),
    ) -> None:
        """`owns` names the streams (of `shared.streams`) that this service makes; others are waited for."""
        self.service = service
        self._database = database
        self._dead_letters = dead_letters
        self._owns = tuple(owns)
        self._subscriptions: list[_Subscription] = []
        self._connection: Client | None = None
        self._connection_problem: str | None = "not connected to the broker yet"
        self._stream_problems: dict[str, str] = {}
        self._streams_seen_to = asyncio.Event()
        self.broker = _Broker(
            url,
            name=f"sampan-{service}",
            security=SASLPlaintext(user, password) if user is not None and password is not None else None,
            # Never give up: nats-py's event loop spins for ever once the attempts are used up.
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=2,
            graceful_timeout=5,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            # FastStream writes two lines a batch, and it would write an error's message, which may hold a name.
            logger=logging.getLogger("sampan.faststream"),
            log_level=logging.DEBUG,
        )

    # --- what a service declares

    def intake(self, subject: str, handle: IntakeHandler) -> None:
        """Hear the messages that offices send on a subject of INTAKE.

        `handle(deliveries)` does its own transaction, all or nothing, and may get a message again. When it raises because the
        world failed, all come again; otherwise each is tried by itself, and one that fails three times is a dead letter.
        """
        batches = IntakeBatches(self._database, self._dead_letters, "INTAKE", handle)
        self._subscribe("INTAKE", subject, subject, INTAKE_BATCH, batches)

    def facts(self, stream: str, handle: FactHandler) -> None:
        """Hear every fact of another service's stream, in order, each once in the eyes of the database.

        `handle(session, deliveries)` works in the transaction that also advances the position; it must not commit. It is
        called again, with less, when it raises; a fact that fails three times by itself is a dead letter and is passed.
        """

        async def next_in_stream(sequence: int) -> int:
            return await self._next_in_stream(subscription, sequence)

        batches = FactBatches(self._database, self._dead_letters, stream, handle, next_in_stream)
        subject = (STREAMS[stream].subjects or [">"])[0]
        # The consumer has no filter: its sequences must be contiguous.
        subscription = self._subscribe(stream, subject, None, FACT_BATCH, batches)

    def _subscribe(
        self, stream: str, subject: str, filter_subject: str | None, batch_size: int, batches: Batches
    ) -> _Subscription:
        subscriber = self.broker.subscriber(
            subject,
            stream=JStream(stream, declare=False),
            durable=self.service,
            decoder=_as_it_came,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            pull_sub=PullSub(batch_size=batch_size, timeout=COLLECT_SECONDS, batch=True),
        )
        assert isinstance(subscriber, BatchPullStreamSubscriber)
        subscription = _Subscription(
            stream, self.service, filter_subject, batch_size, batches, subscriber, isinstance(batches, FactBatches)
        )

        async def take(messages: list[Any]) -> None:
            await self._take(subscription, messages)

        subscriber(take)
        self._subscriptions.append(subscription)
        return subscription

    # --- what a service asks

    def health(self) -> list[str]:
        """What keeps the bus from working, in plain words; empty when all is well."""
        if not self.connected:
            return [self._connection_problem or "the broker is away"]
        problems = list(self._stream_problems.values())
        for subscription in self._subscriptions:
            problems += [problem for problem in (subscription.problem, subscription.batches.problem) if problem]
        return problems

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.is_connected

    @property
    def connection(self) -> Client:
        """The connection to the broker. Raises ConnectionError when there is none now."""
        if self._connection is None or not self._connection.is_connected:
            raise ConnectionError("the broker is away")
        return self._connection

    @property
    def jetstream(self) -> JetStreamContext:
        """The streams. Raises ConnectionError when the broker is away."""
        return self.connection.jetstream(timeout=PUBLISH_SECONDS)

    # --- running

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect and keep everything going in the background; entering does not wait for the broker."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._disconnect()

    async def _run(self) -> None:
        while True:
            try:
                self._connection = await self.broker.connect()
                self._connection_problem = None
                async with asyncio.TaskGroup() as keepers:
                    keepers.create_task(self._until_closed(self._connection))
                    keepers.create_task(self._keep_streams())
                    keepers.create_task(self._sweep())
                    for subscription in self._subscriptions:
                        keepers.create_task(self._keep(subscription))
            except (Exception, ExceptionGroup) as error:
                self._connection_problem = f"the connection to the broker ended: {describe(error)}"
                log.warning("%s; connecting anew", self._connection_problem)
            RESTARTS.labels(self.service, "connection").inc()
            await self._disconnect()
            await asyncio.sleep(1)

    async def _until_closed(self, connection: Client) -> None:
        """nats-py closes the connection for good on some errors that the server reports, whatever its settings."""
        while not connection.is_closed:  # noqa: ASYNC110 - its callback is not called in all of these cases
            await asyncio.sleep(WATCH_SECONDS)
        raise ConnectionError(f"closed: {connection.last_error}")

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        with suppress(Exception):
            await asyncio.wait_for(self.broker.stop(), 10)
        if connection is not None and not connection.is_closed:
            with suppress(Exception):
                await connection.close()
        self.broker._connection = None  # FastStream keeps it when draining failed, and would not connect again

    async def _keep_streams(self) -> None:
        """Make the streams this service owns, and make them again when they are gone."""
        made: set[str] = set()
        while True:
            for name in self._owns:
                try:
                    if name in made:
                        await self.jetstream.stream_info(name)
                    else:
                        await ensure_stream(self.jetstream, name)
                        made.add(name)
                        log.info("stream %s is there", name)
                    self._stream_problems.pop(name, None)
                except NotFoundError:
                    made.discard(name)
                    log.warning("stream %s is gone: it is made anew", name)
                    RESTARTS.labels(self.service, name).inc()
                    self._stream_problems[name] = f"stream {name} is gone"
                except Exception as error:
                    self._stream_problems[name] = f"stream {name}: {describe(error)}"
                    log.warning("stream %s: %s", name, describe(error))
            self._streams_seen_to.set()
            await asyncio.sleep(0.2 if self._stream_problems else WATCH_SECONDS)

    async def _sweep(self) -> None:
        while True:
            try:
                await self._database.run(self._dead_letters.forget_expired)
            except Exception as error:
                log.warning("expired dead letters stay for now: %s", describe(error))
            await asyncio.sleep(SWEEP_SECONDS)

    async def _keep(self, subscription: _Subscription) -> None:
        """Start a subscription, watch it, and start it again whenever something is wrong with it."""
        await self._streams_seen_to.wait()
        while True:
            try:
                if not subscription.facts:
                    await self._hear(subscription, None)
                # Two replicas that pull from one consumer get every other fact, and each would wait for the other's.
                async with self._database.alone(f"hears {subscription.stream}") as lock:
                    if lock is not None:
                        await self._hear(subscription, lock)
                subscription.problem = None  # another replica hears
            except Exception as error:
                gone = isinstance(error, NotFoundError)
                said = "stream or consumer is gone" if gone else describe(error)
                problem = f"{subscription.stream} is not heard: {said}"
                if subscription.problem != problem:
                    log.warning("%s; trying again", problem)
                subscription.problem = problem
                RESTARTS.labels(self.service, subscription.stream).inc()
            await asyncio.sleep(0.5)

    async def _hear(self, subscription: _Subscription, lock: AsyncConnection | None) -> NoReturn:
        try:
            await self._start(subscription)
            log.info("%s is heard", subscription.stream)
            subscription.problem = None
            while True:
                await self._watch(subscription)
                if lock is not None:
                    await lock.execute(text("SELECT 1"))
        finally:
            await _stop(subscription.subscriber)

    async def _start(self, subscription: _Subscription) -> None:
        info = await _ensure_consumer(self.jetstream, subscription)
        if subscription.facts:
            # Read after the consumer's floor, so it can only be behind it when the database was restored or emptied.
            heard = await self._heard(subscription.stream)
            await self._hear_from(subscription, info, heard + 1)
        await subscription.subscriber.start()
        reader = subscription.subscriber.subscription
        assert reader is not None
        # FastStream looks the method up for each fetch, and its task has not run yet: nothing awaited since it was made.
        vars(reader)["fetch"] = _Fetch(reader, self, subscription.suspect)
        subscription.last_delivery = monotonic()

    async def _watch(self, subscription: _Subscription) -> None:
        """Look once, soon; raises when the subscription must be made anew. `ping()` would be true all the while."""
        with suppress(TimeoutError):
            await asyncio.wait_for(subscription.suspect.wait(), WATCH_SECONDS)
        subscription.suspect.clear()
        if not self.connected:
            return
        try:
            info = await self.jetstream.consumer_info(subscription.stream, subscription.durable)
        except NotFoundError:
            raise
        except (TimeoutError, ConnectionError, nats.errors.Error) as error:
            log.warning("%s: the broker does not tell of its consumer: %s", subscription.stream, describe(error))
            return
        # Longer than any message waits after a nak or for want of an ack.
        if subscription.busy or not (info.num_pending or info.num_ack_pending):
            subscription.last_delivery = monotonic()
        elif monotonic() - subscription.last_delivery > STALL_SECONDS:
            raise _Stalled
        await asyncio.sleep(0.5)  # a suspicion is looked into at most twice a second

    async def _take(self, subscription: _Subscription, messages: list[Msg]) -> None:
        """Settle one batch, then ack. It never raises: FastStream would only log it, with the message."""
        subscription.busy = True
        try:
            batch = [_delivery(message) for message in messages]
            BATCHES.labels(self.service, subscription.stream).observe(len(batch))
            later = await subscription.batches.settle(batch)
            for message, delivery in zip(messages, batch, strict=True):
                wait = later.get(delivery.sequence)
                if wait is None:
                    await message.ack()
                else:
                    await message.nak(delay=wait)
        except Exception as error:
            log.warning("%s: a batch was not settled: %s", subscription.stream, describe(error))
        finally:
            subscription.busy = False
            subscription.last_delivery = monotonic()

    # --- gaps in a stream of facts

    async def _heard(self, stream: str) -> int:
        async with self._database.transaction() as session:
            return (await heard_positions(session)).get(stream, 0)

    async def _next_in_stream(self, subscription: _Subscription, sequence: int) -> int:
        js = self.jetstream
        try:
            there = (await js.get_msg(subscription.stream, seq=sequence, subject=">", next=True)).seq or sequence
        except NotFoundError:
            return sequence
        if there == sequence:
            info = await js.consumer_info(subscription.stream, subscription.durable)
            await self._hear_from(subscription, info, sequence)
        return there

    async def _hear_from(self, subscription: _Subscription, info: ConsumerInfo, sequence: int) -> None:
        """Have a message delivered that the consumer takes for settled, though this database does not have it."""
        floor = info.ack_floor.stream_seq if info.ack_floor is not None else 0
        if floor >= sequence:
            log.warning("%s: acked up to %d but applied below %d: heard again", subscription.stream, floor, sequence)
            await self.jetstream.reset_consumer(subscription.stream, subscription.durable, seq=sequence)

    # --- the connection's news

    async def _on_error(self, error: Exception) -> None:
        if not self.connected:
            self._connection_problem = f"the broker is away ({type(error).__name__})"
        log.warning("broker: %s: %s", type(error).__name__, error)

    async def _on_disconnected(self) -> None:
        self._connection_problem = "the broker is away"
        log.warning("the broker is away; connecting again for as long as it takes")

    async def _on_reconnected(self) -> None:
        self._connection_problem = None
        log.info("the broker is back")


class _Stalled(Exception):
    """Messages wait, the subscriber is idle, and nothing reaches it."""


class _Fetch:
    """`PullSubscription.fetch` as FastStream needs it: it either brings messages, or takes its time and times out.

    nats-py's own raises a bare asyncio.TimeoutError now and then, which FastStream does not catch: what was already pulled then
    waits out the ack time. And it returns at once when the consumer is gone, so that FastStream's loop spins.
    """

    def __init__(self, reader: JetStreamContext.PullSubscription, bus: Bus, suspect: asyncio.Event) -> None:
        self._fetch = reader.fetch
        self._bus = bus
        self._suspect = suspect

    async def __call__(self, batch: int, timeout: float) -> list[Msg]:  # noqa: ASYNC109 - nats-py's signature
        ends = monotonic() + timeout
        if not self._bus.connected:  # requests would pile up in the client and all be answered at the reconnect
            await asyncio.sleep(0.2)
            raise nats.errors.TimeoutError
        try:
            if timeout > 0.001:
                messages: list[Msg] = await self._fetch(batch=batch, timeout=timeout)
                if messages:
                    return messages
        except TimeoutError:
            raise nats.errors.TimeoutError from None
        except nats.errors.Error:
            self._suspect.set()
            await asyncio.sleep(0.5)
            raise nats.errors.TimeoutError from None
        early = ends - monotonic()
        if early > timeout / 2:
            self._suspect.set()
        await asyncio.sleep(max(early, 0))
        raise nats.errors.TimeoutError


async def _as_it_came(message: StreamMessage[list[Msg]]) -> list[Msg]:
    """FastStream's decoder: it cannot fail, so one bad message cannot take the batch with it."""
    return message.raw_message


def _delivery(message: Msg) -> Delivery:
    metadata = message.metadata
    return Delivery(
        subject=message.subject,
        body=message.data,
        stream=metadata.stream,
        sequence=metadata.sequence.stream,
        deliveries=metadata.num_delivered or 1,
        headers=message.headers or {},
    )


async def _ensure_consumer(js: JetStreamContext, subscription: _Subscription) -> ConsumerInfo:
    """Create the durable or bring it to this configuration; raises NotFoundError when the stream is not there yet."""
    try:
        return await js.add_consumer(subscription.stream, subscription.config)
    except (BadRequestError, ServerError) as error:
        # Some settings cannot be changed. Nothing is lost with the old consumer: what was not acked is still in the stream,
        # and what was applied is known to the database.
        log.warning("%s: consumer %s is made anew (%s)", subscription.stream, subscription.durable, error.description)
        with suppress(NotFoundError):
            await js.delete_consumer(subscription.stream, subscription.durable)
        return await js.add_consumer(subscription.stream, subscription.config)


async def _stop(subscriber: BatchPullStreamSubscriber) -> None:
    tasks = list(subscriber.tasks)
    with suppress(Exception):
        await subscriber.stop()
    for task in tasks:
        task.cancel()
    subscriber.tasks.clear()
    subscriber.subscription = None  # still there when unsubscribing failed; then it would not be made anew
