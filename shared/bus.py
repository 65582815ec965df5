"""The bus: one connection to the broker, the streams a service owns, its subscriptions, and a watch over all of them.

FastStream's and nats-py's defaults lose or stall events in several ways; what is set here, and why, is settled by
tests/integration/bus, one test for each.
"""

import asyncio
import logging
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from inspect import getdoc
from time import monotonic
from typing import Any, NamedTuple

import nats.errors
from faststream.middlewares import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from faststream.nats.security import NatsCredentials
from faststream.nats.subscriber.usecases import BatchPullStreamSubscriber
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError
from pydantic_core import from_json
from sqlalchemy.ext.asyncio import AsyncSession

from shared.batches import Batches, FactBatches, FactHandler, IntakeBatches, IntakeHandler
from shared.database import Database
from shared.deadletters import DeadLetters, describe
from shared.delivery import Delivery
from shared.rights import inbox_prefix
from shared.streams import STREAMS, ensure_stream
from shared.subscriptions import RESTARTS, WATCH_SECONDS, Subscription, as_it_came
from shared.tasks import background, end

__all__ = ["BrokerAway", "Bus", "Delivery", "Extent"]

log = logging.getLogger(__name__)

# A partial batch waits no longer than its timeout, in seconds. Messages of the intake have up to 8 MiB, each with many events;
# facts of one transaction come at once, and somebody waits for what follows from them.
INTAKE_BATCH = PullSub(batch_size=50, timeout=0.05, batch=True)
FACT_BATCH = PullSub(batch_size=500, timeout=0.02, batch=True)
CONNECT_SECONDS = 5
PING_SECONDS = 5  # two unanswered: a half-open connection is noticed in seconds rather than minutes
PUBLISH_SECONDS = 5.0
STOP_SECONDS = 5.0
SWEEP_SECONDS = 3600.0
DENIED_SECONDS = 30.0
"""How long a denial counts. What was denied is tried again more often than that for as long as it is needed."""
_DENIED = re.compile(r"permissions violation for (publish|subscription) to \"([^\"]*)\"", re.IGNORECASE)


class BrokerAway(ConnectionError):
    """The broker is not connected, or does not answer, or not with what was asked for."""


class Extent(NamedTuple):
    """From where to where a stream's sequences go, and how many messages are there."""

    first: int
    last: int
    messages: int


class _Broker(NatsBroker):
    """FastStream's own error callback raises within nats-py's reconnect loop when the server refuses us: the loop ends."""

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
        credentials: str,
        owns: Sequence[str] = (),
    ) -> None:
        """`credentials` is the text of the service's NATS credentials file; what they allow is in `shared.rights`.

        `owns` names the streams (of `shared.streams`) that this service makes; others are waited for.
        """
        self.service = service
        self._database = database
        self._dead_letters = dead_letters
        self._sweeps: list[Callable[[AsyncSession], Awaitable[None]]] = [dead_letters.forget_expired]
        self._owns = tuple(owns)
        self._subscriptions: list[Subscription] = []
        self._connection: Client | None = None
        self._connection_problem: str | None = "not connected to the broker yet"
        self._connections = 0  # made by us; those that the client made anew by itself are counted by it
        self._stream_problems = {name: f"stream {name} is not made yet" for name in owns}
        self._streams_seen_to = asyncio.Event()
        self._denied: dict[str, float] = {}
        self.broker = _Broker(
            url,
            name=f"sampan-{service}",
            # Read once: nats-py reads a file anew at every attempt, and never returns from one that is empty by then.
            security=NatsCredentials.from_raw(credentials),
            inbox_prefix=inbox_prefix(service),
            # Never give up: nats-py's event loop spins for ever once the attempts are used up.
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            max_outstanding_pings=2,
            graceful_timeout=STOP_SECONDS,
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
        Its docstring is shown in the AsyncAPI document.
        """
        batches = IntakeBatches(self._database, self._dead_letters, "INTAKE", handle)
        self._subscribe("INTAKE", subject, subject, INTAKE_BATCH, batches, getdoc(handle))

    def facts(self, stream: str, handle: FactHandler, late: FactHandler | None = None) -> None:
        """Hear every fact of another service's stream, in order, each once in the eyes of the database.

        `handle(session, deliveries)` works in the transaction that also advances the position; it must not commit. It is
        called again, with less, when it raises; a fact that fails three times by itself is a dead letter and is passed.
        When it is replayed, behind the position, `late` is called in its place, if there is one.
        """

        async def next_in_stream(sequence: int) -> int:
            return await subscription.next_in_stream(sequence)

        batches = FactBatches(self._database, self._dead_letters, stream, handle, next_in_stream, late)
        subject = (STREAMS[stream].subjects or [">"])[0]
        # The consumer has no filter: its sequences must be contiguous.
        subscription = self._subscribe(stream, subject, None, FACT_BATCH, batches, getdoc(handle))

    def _subscribe(
        self,
        stream: str,
        subject: str,
        filter_subject: str | None,
        batch: PullSub,
        batches: Batches,
        description: str | None,
    ) -> Subscription:
        subscriber = self.broker.subscriber(
            subject,
            stream=JStream(stream, declare=False),  # declared by FastStream it would lose its settings
            durable=self.service,
            inbox_prefix=f"{inbox_prefix(self.service)}.".encode(),  # FastStream does not take the connection's
            decoder=as_it_came,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            title=f"{stream} to {self.service}",
            description=description,
            pull_sub=batch,
        )
        assert isinstance(subscriber, BatchPullStreamSubscriber)
        subscription = Subscription(self, self._database, self.service, stream, filter_subject, subscriber, batches)
        subscriber(subscription.take)
        self._subscriptions.append(subscription)
        return subscription

    # --- what a service asks

    def health(self) -> list[str]:
        """What keeps the bus from working, in plain words; empty when all is well."""
        if not self.connected:
            return [self._connection_problem or "the broker is away"]
        # First, because the time-outs among the others are its consequences.
        problems = [problem for problem, when in self._denied.items() if monotonic() - when < DENIED_SECONDS]
        problems += self._stream_problems.values()
        return problems + [problem for subscription in self._subscriptions for problem in subscription.health()]

    @property
    def connected(self) -> bool:
        return self._connection is not None and self._connection.is_connected

    @property
    def connections(self) -> int:
        """How often it was connected: what was known of the broker's disk may be otherwise since."""
        # nats-py counts before it says that it is connected, and calls back only once the broker has answered.
        return self._connections + (self._connection.stats["reconnects"] if self._connection is not None else 0)

    @property
    def connection(self) -> Client:
        """The connection to the broker. Raises BrokerAway when there is none now."""
        if self._connection is None or not self._connection.is_connected:
            raise BrokerAway("the broker is away")
        return self._connection

    @property
    def jetstream(self) -> JetStreamContext:
        """The streams. Raises BrokerAway when the broker is away."""
        return self.connection.jetstream(timeout=PUBLISH_SECONDS)

    # --- what an administrator asks

    def sweep(self, work: Callable[[AsyncSession], Awaitable[None]]) -> None:
        """Have something else deleted now and then that is kept for a stated time."""
        self._sweeps.append(work)

    async def replay(self, delivery: Delivery) -> None:
        """Have a dead letter handled as the message it was, also when the broker is away.

        Raises what the handler raises, and LookupError when this service does not hear that stream.
        """
        for subscription in self._subscriptions:
            if subscription.stream == delivery.stream:
                await subscription.replay(delivery)
                return
        raise LookupError(f"{self.service} does not hear {delivery.stream}")

    async def extent(self, stream: str) -> Extent:
        """What a stream holds; nothing when it is not there. Raises BrokerAway."""
        with _answering():
            try:
                state = (await self.jetstream.stream_info(stream)).state
            except NotFoundError:
                return Extent(0, 0, 0)
        return Extent(state.first_seq, state.last_seq, state.messages)

    async def last_sequence(self, stream: str) -> int:
        """The sequence with which a stream ends; 0 when it is not there. Raises BrokerAway."""
        return (await self.extent(stream)).last

    async def make_anew(self, stream: str) -> None:
        """Delete a stream of this service, which is then made and filled from the journal as one that somebody deleted.

        Raises BrokerAway.
        """
        with _answering(), suppress(NotFoundError):
            await self.jetstream.delete_stream(stream)

    async def read(self, stream: str, first: int, last: int) -> list[Delivery]:
        """The messages from `first` to `last` without their headers, and without those that are gone. Nothing is consumed by it.

        Raises BrokerAway.
        """
        connection, subject = self.connection, f"$JS.API.STREAM.MSG.GET.{stream}"

        async def one(sequence: int) -> Delivery | None:
            # As nats-py's get_msg, which takes twice as long over headers that nobody asks for.
            answer = await connection.request(subject, b'{"seq":%d}' % sequence, timeout=PUBLISH_SECONDS)
            told = from_json(answer.data)
            try:
                if "error" in told:
                    APIError.from_error(told["error"])
            except NotFoundError:
                return None
            message = told["message"]
            return Delivery(message["subject"], b64decode(message.get("data", "")), stream, sequence, 1, {})

        with _answering():
            found = await asyncio.gather(*(one(sequence) for sequence in range(first, last + 1)))
        return [message for message in found if message is not None]

    # --- running

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Connect and keep everything going in the background; entering does not wait for the broker."""
        try:
            async with background(self._sweep()), background(self._run(), 4 * STOP_SECONDS):
                yield
        finally:
            await self._disconnect()

    async def _run(self) -> None:
        while True:
            keepers: list[asyncio.Task[None]] = []
            try:
                self._connection = await self.broker.connect()
                self._connection_problem = None
                self._connections += 1
                work = [self._until_closed(self._connection), self._keep_streams()]
                work += [self._keep(subscription) for subscription in self._subscriptions]
                keepers = [asyncio.create_task(one) for one in work]
                await asyncio.gather(*keepers)
            except Exception as error:
                self._connection_problem = f"the connection to the broker ended: {describe(error)}"
                log.warning("%s; connecting anew", self._connection_problem)
            finally:
                await end(keepers, 1.5 * STOP_SECONDS)
            RESTARTS.labels(self.service, "connection").inc()
            await self._disconnect()
            await asyncio.sleep(1)

    async def _keep(self, subscription: Subscription) -> None:
        await self._streams_seen_to.wait()
        await subscription.keep()

    async def _until_closed(self, connection: Client) -> None:
        """nats-py closes the connection for good on some errors that the server reports, whatever its settings."""
        while not connection.is_closed:  # noqa: ASYNC110 - its callback is not called in all of these cases
            await asyncio.sleep(WATCH_SECONDS)
        raise ConnectionError(f"closed: {connection.last_error}")

    async def _disconnect(self) -> None:
        self._connections = self.connections
        connection, self._connection = self._connection, None
        with suppress(Exception):
            async with asyncio.timeout(2 * STOP_SECONDS):
                await self.broker.stop()
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
                    problem = f"stream {name}: {describe(error)}"
                    if problem != self._stream_problems.get(name):  # an outage of a night must not push out older logs
                        log.warning("%s", problem)
                    self._stream_problems[name] = problem
            self._streams_seen_to.set()
            await asyncio.sleep(0.2 if self._stream_problems else WATCH_SECONDS)

    async def _sweep(self) -> None:
        while True:
            for work in self._sweeps:
                try:
                    await self._database.run(work)
                except Exception as error:
                    log.warning("what was kept long enough stays for now: %s", describe(error))
            await asyncio.sleep(SWEEP_SECONDS)

    # --- the connection's news

    async def _on_error(self, error: Exception) -> None:
        if denied := _DENIED.search(str(error)):
            # Whoever published learns nothing but a time-out. The server's words hold the subject, and no subject holds a name.
            what = "publish on" if denied[1].lower() == "publish" else "hear"
            problem = (
                f"the broker denies {self.service} the right to {what} {denied[2]}: its credentials do not have it"
            )
            if problem not in self._denied or monotonic() - self._denied[problem] > DENIED_SECONDS:
                log.error("%s", problem)
            self._denied[problem] = monotonic()
            return
        # A broker that refuses us closes the connection too, and only the first of the two errors says why.
        refused = isinstance(error, ConnectionResetError) and "Authorization" in (self._connection_problem or "")
        if not self.connected and not refused:
            self._connection_problem = f"the broker is away ({str(error) or type(error).__name__})"
        log.warning("broker: %s: %s", type(error).__name__, error)

    async def _on_disconnected(self) -> None:
        if self._connection is None:  # our own doing
            return
        self._connection_problem = "the broker is away"
        log.warning("the broker is away; connecting again for as long as it takes")

    async def _on_reconnected(self) -> None:
        self._connection_problem = None
        log.info("the broker is back")


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise BrokerAway(f"the broker does not answer: {describe(error)}") from error
